-- Requests for wrk: prepared bodies in turn, each with an Idempotency-Key of its own.
-- In (args): a file with a line per request, "token<TAB>body"; the path; the prefix of the keys.
-- Out: one line of JSON on stdout at the end. The same script drives every case, so its cost is in all alike.

local heads, tails, count, sent, key_prefix = {}, {}, 0, 0, ""
local HEAD = "POST %s HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n" ..
  "Content-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: "

function init(args)
  local path = args[2]
  key_prefix = args[3] .. "-"
  for line in io.lines(args[1]) do
    local token, body = line:match("^([^\t]+)\t(.+)$")
    count = count + 1
    heads[count] = string.format(HEAD, path, wrk.host, wrk.port, token, #body) .. key_prefix
    tails[count] = "\r\n\r\n" .. body
  end
end

function request()
  sent = sent + 1
  local n = sent % count + 1
  return heads[n] .. sent .. tails[n]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "latency_us_p50": %d, "latency_us_p99": %d, ' ..
    '"not_2xx": %d, "socket_errors": %d, "timeouts": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
