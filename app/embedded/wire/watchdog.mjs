// A second thread that acts while the first is inside a long statement: it enforces statement
// timeouts and notices that the parent is gone.
//
// The event loop of the main thread stands still while WebAssembly runs, but V8 serves an inspector
// message at the next loop back-edge even there, so `Runtime.evaluate` can set the backend's
// interrupt flag. No debugging port is opened, and the session lasts for one call.
import { Session } from 'node:inspector';
import { Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const TICK_MS = 50;
const PARENT_CHECK_MS = 1_000;
const GRACE_MS = 5_000;
const DEADLINE = 0;
const SERIAL = 1;

/** Start the thread; `interrupt` runs on the main thread, in the middle of a statement. */
export function startWatchdog({ interrupt, onParentGone }) {
  const shared = new BigInt64Array(new SharedArrayBuffer(16));
  const worker = new Worker(new URL(import.meta.url), { workerData: { shared } });
  worker.unref();
  worker.on('message', onParentGone);
  const watchdog = { fired: false, arm, disarm };
  let ticking = false;
  globalThis.tickgraphInterrupt = (serial) => {
    if (serial !== -1 && BigInt(serial) !== shared[SERIAL]) return;
    watchdog.fired = true;
    interrupt();
  };

  /** Interrupt what runs from now on unless it is disarmed within `timeoutMs`. */
  function arm(timeoutMs) {
    watchdog.fired = false;
    if (!ticking) worker.postMessage('tick');
    ticking = true;
    Atomics.add(shared, SERIAL, 1n);
    Atomics.store(shared, DEADLINE, BigInt(Date.now() + timeoutMs));
  }

  /** End the watch; true if the statement was interrupted. */
  function disarm() {
    Atomics.store(shared, DEADLINE, 0n);
    Atomics.add(shared, SERIAL, 1n);
    const { fired } = watchdog;
    watchdog.fired = false;
    return fired;
  }

  return watchdog;
}

function interruptMain(serial) {
  const session = new Session();
  session.connectToMainThread();
  session.post('Runtime.evaluate', { expression: `tickgraphInterrupt(${serial})` }, () =>
    session.disconnect(),
  );
}

function watchDeadlines(shared) {
  let interrupted = 0n;
  setInterval(() => {
    const serial = Atomics.load(shared, SERIAL);
    const deadline = Atomics.load(shared, DEADLINE);
    if (deadline === 0n || BigInt(Date.now()) < deadline || serial === interrupted) return;
    interrupted = serial;
    interruptMain(serial);
  }, TICK_MS);
}

function watchParent() {
  let gone = false;
  const onGone = () => {
    if (gone) return;
    gone = true;
    parentPort.postMessage('parent gone');
    // A long statement keeps the main thread from hearing it: cut it off, then use force.
    setTimeout(() => interruptMain(-1), GRACE_MS);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 2 * GRACE_MS);
  };
  // Standard input is a pipe from the parent that never carries anything: its end is the parent's.
  // A plain fs.read would hold a pool thread, which the exit of the process then waits for.
  const pipe = new Socket({ fd: 0, readable: true, writable: false });
  pipe.on('error', onGone).on('close', onGone).resume();
  // A fork of the parent may hold the other end open; being orphaned shows even then.
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && onGone(), PARENT_CHECK_MS);
}

if (!isMainThread && workerData?.shared) {
  parentPort.once('message', () => watchDeadlines(workerData.shared));
  watchParent();
}
