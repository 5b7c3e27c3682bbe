// The options of the API server in `navarch server`, by kube-apiserver's names where it has them: one table, from which the command
// line, `--help`, the configuration file and the check of docs/server.md follow.

type OptionType = 'text' | 'file' | 'files' | 'texts' | 'list' | 'number' | 'duration' | 'boolean'

export interface ServerOption {
  readonly name: string
  readonly type: OptionType
  /** What stands for the value in `--help`. */
  readonly value: string
  /** As the user would write it; empty: none. */
  readonly default: string
  readonly help: string
}

const option = (name: string, type: OptionType, value: string, fallback: string, help: string): ServerOption => ({
  name,
  type,
  value,
  default: fallback,
  help,
})

function truncation(backend: 'log' | 'webhook'): ServerOption[] {
  return [
    option(
      `audit-${backend}-truncate-enabled`,
      'boolean',
      'true|false',
      'false',
      'whether events beyond the next size go without bodies, and not at all when that is not enough',
    ),
    option(`audit-${backend}-truncate-max-event-size`, 'number', 'bytes', '102400', 'size of one event'),
    option(`audit-${backend}-truncate-max-batch-size`, 'number', 'bytes', '10485760', 'size of one batch, about'),
  ]
}

export const serverOptions: readonly ServerOption[] = [
  option('bind-address', 'text', 'address', '0.0.0.0', 'address to listen on'),
  option('tls-cert-file', 'file', 'file', '', "serving certificate, PEM, with --tls-private-key-file; default: the cluster's own"),
  option('tls-private-key-file', 'file', 'file', '', 'its private key, PEM'),
  option('client-ca-file', 'file', 'file', '', "authorities of client certificates, PEM; default: the cluster's own"),
  option('http2-max-streams-per-connection', 'number', 'count', '100', 'requests at once on one HTTP/2 connection'),
  option(
    'anonymous-auth',
    'boolean',
    'true|false',
    'true',
    'requests without credentials are those of system:anonymous; false: they are refused',
  ),
  option('token-auth-file', 'file', 'file', '', 'static tokens, CSV: token,user,uid,"group1,group2"'),
  option('requestheader-client-ca-file', 'file', 'file', '', "authorities of front proxies, PEM; default: the cluster's own"),
  option(
    'requestheader-allowed-names',
    'list',
    'names',
    'front-proxy-client',
    'common names of front proxies; empty: any that the authority signed',
  ),
  option(
    'service-account-issuer',
    'texts',
    'url',
    '',
    'who issues tokens; the first one does, the others are accepted; default: https://kubernetes.default.svc.<cluster domain>',
  ),
  option('service-account-signing-key-file', 'file', 'file', '', "private key that signs tokens, PEM; default: the cluster's own"),
  option('service-account-key-file', 'files', 'file', '', 'further keys that tokens may be signed by, PEM, private or public'),
  option(
    'service-account-max-token-expiration',
    'duration',
    'duration',
    '0s',
    'longest life of a token that is asked for, at least 1h; 0s: 2^32 seconds',
  ),
  option(
    'service-account-extend-token-expiration',
    'boolean',
    'true|false',
    'true',
    'the tokens that pods are given by themselves hold a year: programs that read them once go on working',
  ),
  option('api-audiences', 'list', 'names', '', 'what tokens for this server are for; default: the issuer'),
  option('oidc-issuer-url', 'text', 'url', '', 'https issuer of OpenID Connect tokens that hold here; with --oidc-client-id'),
  option('oidc-client-id', 'text', 'name', '', 'whom its tokens must be for'),
  option('oidc-username-claim', 'text', 'claim', 'sub', 'the claim that names the user'),
  option(
    'oidc-username-prefix',
    'text',
    'text',
    '',
    'what stands before the name; -: nothing; default: <issuer># unless the claim is email',
  ),
  option('oidc-groups-claim', 'text', 'claim', '', 'the claim that names the groups'),
  option('oidc-groups-prefix', 'text', 'text', '', 'what stands before each group'),
  option('oidc-required-claim', 'texts', 'claim=value', '', 'a claim that must be there with this value'),
  option('oidc-ca-file', 'file', 'file', '', "authorities of the issuer's certificate, PEM; default: the machine's"),
  option(
    'oidc-signing-algs',
    'list',
    'names',
    'RS256',
    'algorithms that tokens may be signed by: RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512',
  ),
  option(
    'authentication-config',
    'file',
    'file',
    '',
    'AuthenticationConfiguration (apiserver.config.k8s.io/v1, YAML): issuers of tokens, anonymous access; instead of --oidc-*; followed',
  ),
  option('authentication-token-webhook-config-file', 'file', 'file', '', 'kubeconfig of a server that knows tokens (TokenReview)'),
  option('authentication-token-webhook-version', 'text', 'v1|v1beta1', 'v1beta1', 'version of TokenReview that it is sent'),
  option('authentication-token-webhook-cache-ttl', 'duration', 'duration', '2m0s', 'how long its answers are remembered'),
  option(
    'authorization-mode',
    'list',
    'modes',
    'Node,RBAC',
    'who decides what users may, in order: Node, RBAC, Webhook, ABAC, AlwaysAllow, AlwaysDeny',
  ),
  option(
    'authorization-config',
    'file',
    'file',
    '',
    'AuthorizationConfiguration (apiserver.config.k8s.io/v1, YAML) instead of --authorization-mode and --authorization-webhook-*; followed',
  ),
  option('authorization-policy-file', 'file', 'file', '', 'policies of mode ABAC, a line of JSON each'),
  option('authorization-webhook-config-file', 'file', 'file', '', 'kubeconfig of the server that mode Webhook asks (SubjectAccessReview)'),
  option('authorization-webhook-version', 'text', 'v1|v1beta1', 'v1beta1', 'version of SubjectAccessReview that it is sent'),
  option('authorization-webhook-cache-authorized-ttl', 'duration', 'duration', '5m0s', 'how long its yes is remembered'),
  option('authorization-webhook-cache-unauthorized-ttl', 'duration', 'duration', '30s', 'how long its no is remembered'),
  option('enable-admission-plugins', 'list', 'names', '', 'admission plugins to run besides the default ones'),
  option('disable-admission-plugins', 'list', 'names', '', 'admission plugins not to run'),
  option(
    'admission-control-config-file',
    'file',
    'file',
    '',
    'AdmissionConfiguration (apiserver.config.k8s.io/v1, YAML): PodSecurity defaults and exemptions, credentials for webhooks',
  ),
  option('feature-gates', 'list', 'name=bool', '', 'refused: every stable feature of the served version is on, and no other'),
  option(
    'runtime-config',
    'texts',
    'key=bool',
    '',
    'versions and resources to serve or not: apps/v1=false, networking.k8s.io/v1beta1=true, batch/v1/cronjobs=false, api/all, api/ga, api/beta, api/alpha',
  ),
  option('max-requests-inflight', 'number', 'count', '400', 'with the next one: the seats that priority levels share'),
  option('max-mutating-requests-inflight', 'number', 'count', '200', 'see --max-requests-inflight'),
  option('request-timeout', 'duration', 'duration', '1m0s', 'how long a request may take that is not a watch or a session'),
  option(
    'min-request-timeout',
    'number',
    'seconds',
    '1800',
    'how long a watch without a time of its own lasts at least; at most twice that',
  ),
  option('event-ttl', 'duration', 'duration', '1h0m0s', 'how long events are kept'),
  option(
    'audit-policy-file',
    'file',
    'file',
    '',
    'which requests are audited (audit.k8s.io/v1 Policy, YAML); with --audit-log-path or --audit-webhook-config-file',
  ),
  option('audit-log-path', 'text', 'file', '', 'where audit events go, one line of JSON each; - is standard output'),
  option('audit-log-maxage', 'number', 'days', '0', 'how long old audit logs are kept; 0: for ever'),
  option('audit-log-maxbackup', 'number', 'count', '0', 'how many old audit logs are kept; 0: all'),
  option('audit-log-maxsize', 'number', 'megabytes', '100', 'size at which the audit log is put aside'),
  ...truncation('log'),
  option('audit-webhook-config-file', 'file', 'file', '', 'kubeconfig of a server that audit events are sent to, several at once'),
  option('audit-webhook-initial-backoff', 'duration', 'duration', '10s', 'wait before a batch is sent again that failed'),
  option('audit-webhook-batch-buffer-size', 'number', 'count', '10000', 'events that may wait; what comes beyond is lost'),
  option('audit-webhook-batch-max-size', 'number', 'count', '400', 'events of one batch'),
  option('audit-webhook-batch-max-wait', 'duration', 'duration', '30s', 'how long a batch that is not full waits for more'),
  option('audit-webhook-batch-throttle-enable', 'boolean', 'true|false', 'true', 'whether the next two hold'),
  option('audit-webhook-batch-throttle-qps', 'number', 'count', '10', 'batches a second'),
  option('audit-webhook-batch-throttle-burst', 'number', 'count', '15', 'batches at once when it was quiet before'),
  ...truncation('webhook'),
  option('shutdown-delay-duration', 'duration', 'duration', '0s', 'how long the server goes on serving, not ready, before it stops'),
  option('shutdown-drain-duration', 'duration', 'duration', '5s', 'how long requests under way may take once it stops'),
]
