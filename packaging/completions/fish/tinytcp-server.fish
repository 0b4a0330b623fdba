complete -c tinytcp-server -l listen -d 'Listen here instead of on the default ports: text://127.0.0.1:40000, or text+unix:///run/tinytcp.sock for a unix socket; port 0 takes any free port; text+tls://... for TLS; with ?proxy=on at its end for proxies, whose connections begin with a PROXY header; repeatable' -r
complete -c tinytcp-server -l host -d 'Host of the default listeners [default: loopback, IPv4 and IPv6]' -r
complete -c tinytcp-server -l proxy-from -d 'The address or block of addresses of proxies, such as 10.0.0.0/8, from which listeners with ?proxy=on take connections; repeatable' -r
complete -c tinytcp-server -l unix-mode -d 'Permissions of the files of unix sockets, in octal, as in 0660 [default: those that the umask allows]' -r
complete -c tinytcp-server -l max-connections -d 'Maximum number of connections; further ones get SERVER_BUSY [default: as many as the open-file limit allows]' -r
complete -c tinytcp-server -l max-connections-per-ip -d 'Maximum number of connections of one IPv4 address or IPv6 /64; further ones get SERVER_BUSY; `off` for no limit' -r
complete -c tinytcp-server -l accept-rate-per-ip -d 'Connections per second from one address, and as many at once; further ones are reset; `off` for no limit' -r
complete -c tinytcp-server -l message-rate-per-ip -d 'Messages per second from one address, and as many at once; further ones are read later; `off` for no limit' -r
complete -c tinytcp-server -l max-line -d 'Longest line of text, longest message of echo and chat' -r
complete -c tinytcp-server -l max-frame -d 'Longest payload of a binary frame' -r
complete -c tinytcp-server -l memory-limit -d 'Maximum memory for the buffers of all connections together' -r
complete -c tinytcp-server -l rooms-max -d 'Maximum number of rooms; a room exists while it has members' -r
complete -c tinytcp-server -l room-members-max -d 'Maximum number of members of a room' -r
complete -c tinytcp-server -l room-memory -d 'Memory for the last messages of a room; a member that reads too slowly misses messages' -r
complete -c tinytcp-server -l say-max -d 'Longest text of a message to a room' -r
complete -c tinytcp-server -l say-rate -d 'Messages per second that one connection may say to a room, and as many at once; further ones are refused; `off` for no limit' -r
complete -c tinytcp-server -l idle-timeout -d 'Close a connection after this time without traffic and without an incomplete message' -r
complete -c tinytcp-server -l message-timeout -d 'Close a connection when a message takes longer than this from its first to its last byte' -r
complete -c tinytcp-server -l write-timeout -d 'Reset a connection whose client is late by this time in reading its answers at 8 KiB per second' -r
complete -c tinytcp-server -l proxy-timeout -d 'Close a connection of a proxy whose PROXY header takes longer than this' -r
complete -c tinytcp-server -l tls-cert -d 'The certificate of listeners with +tls, and its chain, in PEM format; repeatable, each with its --tls-key: a client gets the one for the host that it names, or the first' -r -F
complete -c tinytcp-server -l tls-key -d 'The private key of the --tls-cert in the same place, in PEM format; repeatable' -r -F
complete -c tinytcp-server -l tls-client-ca -d 'Require a certificate of each client of a listener with +tls, signed by an authority whose certificate is in this file in PEM format [default: none]' -r -F
complete -c tinytcp-server -l tls-min -d 'The oldest version of TLS that a client may use' -r -f -a "1.2\t''
1.3\t''"
complete -c tinytcp-server -l handshake-timeout -d 'Close a connection whose TLS handshake takes longer than this' -r
complete -c tinytcp-server -l quiet-period -d 'Echo and chat: bytes without a newline are a message after this time without another byte' -r
complete -c tinytcp-server -l drain-timeout -d 'Maximum time that a shutdown waits until clients have read their answers; a drain closes its connections over the same time' -r
complete -c tinytcp-server -l drain-delay -d 'After SIGUSR2: serve for this time without being ready, then close the connections one by one; or `off`: serve until another signal' -r
complete -c tinytcp-server -l backlog -d 'Length of the kernel\'s queue of connections that are not accepted yet' -r
complete -c tinytcp-server -l activity-log -d 'Maximum number of activity log lines per second; the rest is summarised. `connections` logs no messages, `off` nothing [default: 50; connections if other machines can connect]' -r
complete -c tinytcp-server -l log-format -d 'Format of the log: lines of text, or one JSON object for each event' -r -f -a "text\t'Lines for a person'
json\t'One JSON object for each event'"
complete -c tinytcp-server -l admin -d 'Answer health checks, Prometheus and browsers here: http://127.0.0.1:9464, or http+unix:///run/tinytcp-admin.sock [default: none]' -r
complete -c tinytcp-server -l admin-host -d 'A name of this machine by which --admin may be requested, besides its addresses and localhost; repeatable' -r
complete -c tinytcp-server -l agent-check -d 'Answer the agent checks of haproxy here, such as agent://127.0.0.1:9465: ready, drain or maint [default: none]' -r
complete -c tinytcp-server -l bus -d 'Share the rooms with other servers through this broker of NATS: nats://127.0.0.1:4222, nats://USER:PASSWORD@HOST or nats://TOKEN@HOST, with tls:// for an encrypted connection; the variable and the configuration file keep the password out of the list of processes [default: none]' -r
complete -c tinytcp-server -l bus-ca -d 'For --bus tls://HOST: trust the authorities in FILE (PEM), such as /etc/ssl/certs/ca-certificates.crt' -r -F
complete -c tinytcp-server -l bus-prefix -d 'The beginning of the subjects of rooms at the broker' -r
complete -c tinytcp-server -l health -d 'Ask the server at this URL whether it is healthy, and exit with 0 or 1 [default: that of --admin, or http://127.0.0.1:9464]' -r
complete -c tinytcp-server -l config -d 'Read settings from this TOML file too: max-line = "64KiB". Flags and variables override it, and SIGHUP reads it again' -r -F
complete -c tinytcp-server -s p -l port -d 'Refused; the error names the flag to use' -r
complete -c tinytcp-server -l reuse-port -d 'Share the ports of --listen and --host with other processes of this user that have this flag too; the kernel spreads new connections over all of them'
complete -c tinytcp-server -l tls-self-signed -d 'For a trial, make a certificate and its key in memory, and log its SHA-256 fingerprint'
complete -c tinytcp-server -l bus-required -d 'Be ready for new connections only while the broker of --bus is connected'
complete -c tinytcp-server -l check -d 'Check the configuration, print each setting and where it comes from, and exit without listening'
complete -c tinytcp-server -s v -l verbose -d 'Log more: -v probes and details, -vv everything; RUST_LOG overrides'
complete -c tinytcp-server -s q -l quiet -d 'Log less: -q warnings, -qq errors; RUST_LOG overrides'
complete -c tinytcp-server -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tinytcp-server -s V -l version -d 'Print version'
