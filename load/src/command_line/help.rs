//! The texts of the help.

/// The examples before the flags.
pub const EXAMPLES: &str = "\
Examples:
  tinytcp-load                                      50 connections, 1 request at a time each, 10 s
  tinytcp-load -c 1000 -P 16 text://10.0.0.5        16 requests in flight on each connection
  tinytcp-load -R 5k                                5000 requests per second on a fixed schedule
  tinytcp-load -R 100:20k -d 1m --html run.html     a rising rate, and an HTML page with charts
  tinytcp-load --stages 30s@100,1m@1k               two rates, one after the other
  tinytcp-load -R 30/m --arrivals poisson           30 requests per minute at random times
  tinytcp-load -n 10k --think 100ms                 10,000 requests, with pauses between them
  tinytcp-load --find-max p99=1ms                   the highest rate with a p99 of at most 1 ms
  tinytcp-load -c 10k --hold -d 10m                 do 10,000 idle connections stay open?
  tinytcp-load --lifetime 1                         connect, send 1 request, close, repeat
  tinytcp-load --mix 'TIME:1,ECHO hello:3' --fail-if 'p99>5ms' --fail-if 'errors>0'
  tinytcp-load tcp://127.0.0.1:6379 --raw -m 'PING\\r\\n' --expect '+PONG\\r\\n'
  tinytcp-load tcp://127.0.0.1:6379 --raw -m 'SET key {hex:8}\\r\\n' --expect '+OK\\r\\n'
  tinytcp-load tcp://127.0.0.1:6379 --raw --script session.txt
  tinytcp-load broadcast -c 1000 -R 100             1000 members of a room check 100 messages/s
  tinytcp-load broadcast -c 10k --rooms 10 --members-silent 1% --fail-if 'p99>50ms'
  tinytcp-load merge a.json b.json                  one report from several machines
  tinytcp-load compare a.json b.json                what has changed, and gates of changes";

/// The exit codes after the flags.
pub const EXIT_CODES: &str = "\
Exit codes:
  0        verdict valid, generator-limited, server-overloaded or tail queued
  1        no correct reply or delivery, or fewer connections or members than requested
  2        invalid arguments
  3        a --fail-if or --abort-if condition was met
  4        the server stopped, sent wrong or no replies, closed held connections, or broke or
           refused broadcasts
  129, 130, 143
           interrupted by a closed terminal, SIGINT or SIGTERM; the report is still printed

SIGHUP writes the report so far to the files of --json, --csv, --html and --hgrm, or to stderr.

A valid run can include up to 0.1 % failed requests or connections, which the report names.
--fail-if 'errors>0' tolerates none.";
