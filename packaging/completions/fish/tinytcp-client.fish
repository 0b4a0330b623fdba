complete -c tinytcp-client -s e -l execute -d 'Send COMMAND and print its answer, instead of reading stdin; repeatable' -r
complete -c tinytcp-client -s p -l protocol -d 'The protocol if TARGET does not name it: text, binary, echo or chat' -r
complete -c tinytcp-client -l timeout -d 'Maximum time for connecting and for each answer; `off` waits for ever' -r
complete -c tinytcp-client -l wait -d 'Repeat attempts to connect for this time, until the server is up' -r
complete -c tinytcp-client -l nick -d 'The name that the other members see, for `listen` and `say`' -r
complete -c tinytcp-client -l count -d 'End `listen` after N messages' -r
complete -c tinytcp-client -l for -d 'End `listen` after this time; with exit code 1 if --count was not reached' -r
complete -c tinytcp-client -l proxy-header -d 'Begin each connection with a PROXY header, as a proxy would: v1, v2, v2:192.0.2.7:51234 for another client than this end, or local for a health check of the proxy' -r
complete -c tinytcp-client -l only -d 'Run only this suite of `test`: protocol or server' -r
complete -c tinytcp-client -l max-line -d 'The longest line that the server accepts, for `test`' -r
complete -c tinytcp-client -l max-frame -d 'The longest payload that the server accepts, for `test`' -r
complete -c tinytcp-client -l tls-ca -d 'For text+tls://HOST: trust the certificates in FILE (PEM) instead of those of the system' -r -F
complete -c tinytcp-client -l tls-cert -d 'The certificate of this client, and its chain, for a server that demands one (PEM)' -r -F
complete -c tinytcp-client -l tls-key -d 'The private key of --tls-cert (PEM)' -r -F
complete -c tinytcp-client -l tls-server-name -d 'The name that the server\'s certificate must have, instead of the host of the URL' -r
complete -c tinytcp-client -l tls-min -d 'The oldest version of TLS that the client accepts: 1.2 or 1.3' -r
complete -c tinytcp-client -l watch -d 'Repeat `status` each second, with the change per second'
complete -c tinytcp-client -l json -d 'Print `status`, or each message of `listen`, as JSON, an object in one line'
complete -c tinytcp-client -l reconnect -d 'Open a lost connection of `listen` again; messages in between are lost'
complete -c tinytcp-client -l tls-insecure -d 'Accept any certificate: an attacker on the way can then read and change everything'
complete -c tinytcp-client -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tinytcp-client -s V -l version -d 'Print version'
