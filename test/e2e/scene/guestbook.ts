// A small application of three parts that find each other by name: a primary keeps entries, replicas copy them, a front writes to the one
// and reads from the others. All are busybox's web server with scripts from a ConfigMap.
import { busybox } from './scene.ts'

const port = 8080

const primary = `#!/bin/sh
[ -n "$QUERY_STRING" ] && httpd -d "$QUERY_STRING" >> /tmp/entries
printf 'Content-Type: text/plain\\r\\n\\r\\n'
cat /tmp/entries 2> /dev/null
exit 0
`

const front = `#!/bin/sh
printf 'Content-Type: application/json\\r\\n\\r\\n'
case $QUERY_STRING in
  set=*) wget -qO /dev/null "http://primary/cgi-bin/entries?\${QUERY_STRING#set=}" && echo '{"message":"Updated"}' ;;
  *) printf '{"data":"%s"}' "$(wget -qO- http://replica/entries | tr '\\n' ',')" ;;
esac
`

/** Prepares the web server's directory with a script in it, and becomes the server. */
const serving = (script: string): string =>
  `mkdir -p /tmp/www/cgi-bin && cp /scripts/${script} /tmp/www/cgi-bin/ && chmod +x /tmp/www/cgi-bin/* && exec httpd -f -p ${port} -h /tmp/www`

const copying = `mkdir -p /tmp/www && : > /tmp/www/entries && httpd -p ${port} -h /tmp/www && while :; do
  wget -qO /tmp/new http://primary/cgi-bin/entries && mv /tmp/new /tmp/www/entries; sleep 0.2; done`

function part(name: string, replicas: number, script: string): object[] {
  const labels = { app: 'guestbook', part: name }
  const container = {
    name,
    image: busybox,
    command: ['sh', '-c', script],
    ports: [{ containerPort: port }],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    volumeMounts: [{ name: 'scripts', mountPath: '/scripts' }],
  }
  const pod = { terminationGracePeriodSeconds: 0, containers: [container], volumes: [{ name: 'scripts', configMap: { name: 'scripts' } }] }
  const spec = { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } }
  const service = { selector: labels, ports: [{ name: 'http', port: 80, targetPort: port }] }
  return [
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, labels }, spec },
    { apiVersion: 'v1', kind: 'Service', metadata: { name, labels }, spec: service },
  ]
}

/** Its manifests, in JSON. */
export function guestbook(): string {
  const scripts = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'scripts' }, data: { entries: primary, guestbook: front } }
  const parts = [part('primary', 1, serving('entries')), part('replica', 2, copying), part('frontend', 3, serving('guestbook'))]
  return [scripts, ...parts.flat()].map((object) => JSON.stringify(object)).join('\n---\n')
}
