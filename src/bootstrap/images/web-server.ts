// The example web server: nginx that answers with its pod's name and its version, under a script that makes SIGTERM graceful. It needs
// no privilege and writes only to /dev/shm, so it runs as any user and on a read-only root.

/** What nginx is told. `version` is a plain word that the server answers with. */
export function webServerConfig({ version, ipv6 }: { readonly version: string; readonly ipv6: boolean }): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path /dev/shm/nginx-${name};`)
  return `daemon off;
worker_processes 1;
pid /dev/shm/nginx.pid;
error_log stderr error;
worker_shutdown_timeout 25s;
events { worker_connections 8192; }
http {
  log_format requests '$remote_addr "$request" $status $body_bytes_sent $request_time';
  access_log /dev/stdout requests;
${scratch.join('\n')}
  server_tokens off;
  keepalive_requests 100000;
  default_type text/plain;
  server {
    listen 8080 backlog=4096;
${ipv6 ? '    listen [::]:8080 backlog=4096;\n' : ''}    location = / { return 200 "$hostname ${version}\\n"; }
    location = /healthz { return 200 "ok\\n"; }
    # About three seconds from the first byte to the last.
    location = /slow { limit_rate 64; return 200 "${'.'.repeat(100)} ${version}\\n"; }
    location / { return 404 "not found\\n"; }
  }
}
`
}

/**
 * Process 1 of the image. nginx takes SIGTERM as "stop at once"; here SIGTERM means: go on serving for DRAIN_SECONDS (1), since
 * connections keep coming until every node has heard that this pod is leaving, then finish what is in flight and exit with 0.
 */
export const serveScript = `#!/bin/sh
config=/etc/nginx/nginx.conf
[ -e /proc/net/if_inet6 ] || config=/etc/nginx/nginx-ipv4.conf
more=
# As root, nginx would change to another user, which takes capabilities that a careful pod has given up.
[ "$(id -u)" != 0 ] || more='user root;'
nginx -e stderr -c "$config" -g "$more" &
server=$!
stop() {
  trap '' TERM INT QUIT
  sleep "\${DRAIN_SECONDS:-1}"
  kill -QUIT "$server" 2>/dev/null
}
trap stop TERM INT QUIT
code=0
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
  code=$?
done
exit "$code"
`
