// What is needed from Debian, and why.

/**
 * Packages that are installed. One counts as present when its programs are, whoever installed them: `has` lists names looked up in
 * PATH, or absolute paths, where `a|b` means either. `for: 'up'` is what a cluster needs to run; `for: 'test'` what the tests need besides.
 */
export const installed = [
  { name: 'ca-certificates', for: 'up', has: ['/etc/ssl/certs/ca-certificates.crt'], why: 'engines check the certificates of registries' },
  { name: 'iproute2', for: 'up', has: ['ip'], why: 'the node agent sets up links and routes' },
  { name: 'nftables', for: 'up', has: ['nft'], why: 'service and policy rules' },
  { name: 'conntrack', for: 'up', has: ['conntrack'], why: 'flows to an endpoint that is gone are dropped' },
  { name: 'runc', for: 'up', has: ['runc'], why: 'starts containers, for both engines' },
  { name: 'containerd', for: 'up', has: ['containerd', 'containerd-shim-runc-v2', 'ctr'], why: 'the private engine' },
  {
    name: 'containernetworking-plugins',
    for: 'up',
    has: ['/usr/lib/cni/bridge|/opt/cni/bin/bridge', '/usr/lib/cni/host-local|/opt/cni/bin/host-local'],
    why: 'the pod network',
  },
  { name: 'docker.io', for: 'test', has: ['dockerd', 'docker'], why: 'the other engine' },
  { name: 'docker-registry', for: 'test', has: ['docker-registry'], why: 'images are pulled from a real registry' },
  {
    name: 'python3-kubernetes',
    for: 'test',
    has: ['/usr/lib/python3/dist-packages/kubernetes/__init__.py'],
    why: 'a client that is not ours',
  },
  { name: 'etcd-server', for: 'test', has: ['etcd'], why: 'the other store' },
  { name: 'wrk', for: 'test', has: ['wrk'], why: 'load during rollouts, and in bench/' },
]

/**
 * Packages that are only unpacked, each into `.cache/debian/<name>`: files of images and old clients, which must not become programs
 * or services of this machine.
 */
export const unpacked = [
  { name: 'busybox-static', for: 'up', why: 'the image busybox, and the base of the others' },
  { name: 'nginx', for: 'up', why: 'the image web' },
  { name: 'libc6', for: 'up', why: 'libraries of nginx, here and below' },
  { name: 'libcrypt1', for: 'up', why: 'nginx' },
  { name: 'libpcre2-8-0', for: 'up', why: 'nginx' },
  { name: 'libssl3', for: 'up', why: 'nginx' },
  { name: 'zlib1g', for: 'up', why: 'nginx' },
  { name: 'kubernetes-client', for: 'test', why: 'an old kubectl, which speaks plain SPDY only' },
]
