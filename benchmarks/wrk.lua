-- Sends the bodies of a file in turn, one a line, and prints the outcome as one line of JSON.
local requests, turn = {}, 0

function init(args)
  for body in io.lines(args[1]) do
    local headers = {["Content-Type"] = "application/json"}
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.status
    + errors.timeout))
end
