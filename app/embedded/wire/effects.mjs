// What statements have done, or asked for, beside their results; settled once the transaction ends.

export function noEffects() {
  return {
    // Names of settings that may have changed, and those of them set back to their start.
    settings: new Set(),
    resets: new Set(),
    readAll: false,
    resetAll: false,
    listen: [],
    unlisten: [],
    temporary: false,
    holdable: false,
    // Prepared statements, by the backend's names, to be closed.
    dropped: [],
    discardTemporary: false,
    discardAll: false,
    // Command tags to be told to the client in place of the backend's.
    retag: new Map(),
  };
}

export function mergeEffects(into, from) {
  for (const [name, value] of Object.entries(from)) {
    if (value === true) into[name] = true;
    else if (Array.isArray(value)) into[name].push(...value);
    else if (value instanceof Set) for (const each of value) into[name].add(each);
    else if (value instanceof Map) for (const [key, each] of value) into[name].set(key, each);
  }
}

export const touchesSettings = (effects) =>
  effects.settings.size > 0 || effects.readAll || effects.resetAll;
