complete -c tinytcp-load -s c -l connections -d 'Number of connections' -r
complete -c tinytcp-load -s d -l duration -d 'Duration of the load [default: 10s; with --find-max 3s at each rate]' -r
complete -c tinytcp-load -s P -l pipeline -d 'Maximum number of requests in flight on each connection' -r
complete -c tinytcp-load -s R -l rate -d 'Open loop: requests per second, sent on schedule without waiting for replies: 5k, 0.5 or 30/m; A:B changes the rate linearly from A to B' -r
complete -c tinytcp-load -l stages -d 'Open loop in stages, each with a duration and a rate or ramp: 30s@100,1m@1k,30s@1k:5k' -r
complete -c tinytcp-load -l arrivals -d 'How requests arrive at the rate of an open loop: at even intervals, or as a Poisson process' -r -f -a "even\t'At even intervals'
poisson\t'As a Poisson process'"
complete -c tinytcp-load -s n -l requests -d 'End after N requests over all connections, which are all answered or failed; or after -d [default of -d: 10m]' -r
complete -c tinytcp-load -l think -d 'Closed loop: pause between a reply and the next request on its connection; no latency includes it' -r
complete -c tinytcp-load -l seed -d 'Seed of random arrivals and values; the report shows it [default: another one in each run]' -r
complete -c tinytcp-load -l find-max -d 'Search for the highest rate that meets an objective such as p99=1ms; -R sets the first rate' -r
complete -c tinytcp-load -l warmup -d 'Exclude this first part of the run from throughput and latencies' -r
complete -c tinytcp-load -l timeout -d 'Timeout of a connection attempt, and of each reply; a run ends at most this long after -d' -r
complete -c tinytcp-load -l threads -d 'Number of generator threads' -r
complete -c tinytcp-load -l ramp -d 'Open the connections evenly over this time, instead of all before the first request' -r
complete -c tinytcp-load -l connect-rate -d 'Open this number of connections per second, instead of all before the first request' -r
complete -c tinytcp-load -l lifetime -d 'Close and reopen each connection after N requests (a bare number) or after a time (5s)' -r
complete -c tinytcp-load -l heartbeat -d 'Time between two requests on a held connection' -r
complete -c tinytcp-load -l source -d 'Source addresses, used in turn: 127.0.0.2-127.0.0.40, 127.0.1.0/28, several with commas' -r
complete -c tinytcp-load -l proxy-header -d 'Begin each connection with a PROXY header, as a proxy would: v1, v2, v2:192.0.2.7:51234 for another client than this end, or local for a health check of the proxy' -r
complete -c tinytcp-load -s p -l protocol -d 'The protocol, if TARGET does not name it: text, binary, echo or chat' -r
complete -c tinytcp-load -l size -d 'Size of the message in each request: the text after ECHO, the payload, or the line' -r
complete -c tinytcp-load -s m -l message -d 'Message to send: a text command, an echo or chat line, or `echo TEXT` or `rev TEXT` for binary; @FILE is a file with a message per line; repeatable' -r
complete -c tinytcp-load -l mix -d 'Messages to send, with their weights, such as \'TIME:1,ECHO hello:3\'' -r
complete -c tinytcp-load -l expect -d 'With --raw: the exact reply to each request, with the values of the request; once for all messages or once per -m [default: the request itself]; \'\' for no reply' -r
complete -c tinytcp-load -l expect-end -d 'With --raw: accept any reply that ends with these bytes, such as \'\\r\\n\'; once, or once per -m' -r
complete -c tinytcp-load -l script -d 'With --raw: a file with the steps of each connection: `send`, `expect`, `expect-end`, `sleep`, and `once send` for a login' -r -F
complete -c tinytcp-load -l greeting -d 'With --raw: the exact bytes that the server sends first' -r
complete -c tinytcp-load -l rooms -d 'With broadcast: number of rooms, over which the -c members are spread' -r
complete -c tinytcp-load -l room -d 'With broadcast: name of the first room; further ones get a number [default: another one in each run]' -r
complete -c tinytcp-load -l publishers -d 'With broadcast: number of members of each room that publish, at -R messages per second together' -r
complete -c tinytcp-load -l members-silent -d 'With broadcast: members that join and never read: a share (1%) or a number' -r
complete -c tinytcp-load -l fail-if -d 'Exit with 3 if this condition is met: \'p99>5ms\', \'errors>0.1%\' or \'rate<50k\', or with compare \'p99>+10%\'; repeatable, also with merge' -r
complete -c tinytcp-load -l abort-if -d 'End the run with exit code 3 once this condition is met, checked every second on the run so far: \'errors>1%\' or \'p99>1s\'; repeatable' -r
complete -c tinytcp-load -l json -d 'Write the complete report as JSON; - is stdout, and the printed report then goes to stderr' -r -F
complete -c tinytcp-load -l csv -d 'Write a CSV file with one row per time slice' -r -F
complete -c tinytcp-load -l html -d 'Write an HTML page with charts' -r -F
complete -c tinytcp-load -l hgrm -d 'Write the latencies in the text format of HdrHistogram tools' -r -F
complete -c tinytcp-load -l live -d 'Write a row per second while the run goes on: CSV if the name ends with .csv, else NDJSON; - is stdout' -r -F
complete -c tinytcp-load -l log-requests -d 'Write a CSV file with a row per request' -r -F
complete -c tinytcp-load -l log-requests-max -d 'Maximum number of rows of --log-requests, which has the first ones' -r
complete -c tinytcp-load -l live-format -d 'The format of the rows of --live: ndjson or csv [default: by the name of the file]' -r -f -a "ndjson\t'A JSON object per line'
csv\t'Comma-separated values'"
complete -c tinytcp-load -l prometheus -d 'Serve metrics of the run at http://ADDR/metrics: a port of 127.0.0.1, or HOST:PORT' -r
complete -c tinytcp-load -l tls-resume -d 'Resume the TLS session of an earlier connection where one is left, with its ticket; off makes each handshake a full one, as that of a new client is' -r -f -a "off\t'Each handshake is a full one'
on\t'With the tickets of earlier connections'"
complete -c tinytcp-load -l tls-ca -d 'For text+tls://HOST: trust the certificates in FILE (PEM) instead of those of the system' -r -F
complete -c tinytcp-load -l tls-cert -d 'The certificate of this client, and its chain, for a server that demands one (PEM)' -r -F
complete -c tinytcp-load -l tls-key -d 'The private key of --tls-cert (PEM)' -r -F
complete -c tinytcp-load -l tls-server-name -d 'The name that the server\'s certificate must have, instead of the host of the URL' -r
complete -c tinytcp-load -l tls-min -d 'The oldest version of TLS that the client accepts: 1.2 or 1.3' -r
complete -c tinytcp-load -l hold -d 'Keep the connections open with one request on each every --heartbeat; report lost connections'
complete -c tinytcp-load -l spread -d 'Spread the connections over all addresses of the server\'s name, in turn, and report each address'
complete -c tinytcp-load -l reset -d 'Close connections with a reset, which leaves no port in TIME_WAIT'
complete -c tinytcp-load -l raw -d 'Raw bytes for any server: send those of -m or --mix, and expect those of --expect'
complete -c tinytcp-load -l preflight -d 'Only print the ports, descriptors and memory that the run needs; open nothing'
complete -c tinytcp-load -s q -l quiet -d 'Show no progress, and no report if a file goes to stdout'
complete -c tinytcp-load -l tls-insecure -d 'Accept any certificate: an attacker on the way can then read and change everything'
complete -c tinytcp-load -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tinytcp-load -s V -l version -d 'Print version'
