// A pod of about 3 KB, like those of everyday clusters: one container with probes and resources, a sidecar, volumes, full status.

export function samplePod(): Record<string, unknown> {
  const container = {
    name: 'web',
    image: 'navarch.local/web:v1',
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: [
      { name: 'MODE', value: 'production' },
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    ],
    resources: { limits: { cpu: '500m', memory: '256Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
    volumeMounts: [
      { name: 'config', mountPath: '/etc/web' },
      { name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ],
    livenessProbe: probe(10),
    readinessProbe: probe(5),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
  }
  const condition = (type: string): object => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: '2026-01-02T03:04:05Z' })
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: 'web-7d4b9c6f5-x2x9z',
      generateName: 'web-7d4b9c6f5-',
      namespace: 'default',
      uid: '5c0f5a0e-3f3b-4a55-9d63-5a4bd9a4a3c8',
      resourceVersion: '123456',
      creationTimestamp: '2026-01-02T03:04:05Z',
      labels: { app: 'web', 'pod-template-hash': '7d4b9c6f5', tier: 'frontend' },
      annotations: { 'example.com/checksum': 'd2c76e0f3c3a4a0f8b6f5d1f4f9d8f8e' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'web-7d4b9c6f5',
          uid: '0b3f5b2e-7ab0-4a0c-8d65-1f2f3a4b5c6d',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      volumes: [
        { name: 'config', configMap: { name: 'web', defaultMode: 420 } },
        {
          name: 'kube-api-access-x7k2p',
          projected: { defaultMode: 420, sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }] },
        },
      ],
      containers: [container, { ...container, name: 'sidecar', livenessProbe: undefined, readinessProbe: undefined }],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      nodeName: 'node-1',
      securityContext: {},
      schedulerName: 'default-scheduler',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {
      phase: 'Running',
      conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
      hostIP: '10.0.0.1',
      podIP: '10.244.0.17',
      podIPs: [{ ip: '10.244.0.17' }],
      startTime: '2026-01-02T03:04:05Z',
      containerStatuses: [
        {
          name: 'web',
          state: { running: { startedAt: '2026-01-02T03:04:06Z' } },
          lastState: {},
          ready: true,
          restartCount: 0,
          image: 'navarch.local/web:v1',
          imageID: 'sha256:9f8e',
          containerID: 'containerd://1a2b3c',
          started: true,
        },
      ],
      qosClass: 'Burstable',
    },
  }
}

function probe(periodSeconds: number): object {
  const httpGet = { path: '/healthz', port: 8080, scheme: 'HTTP' }
  return { httpGet, timeoutSeconds: 1, periodSeconds, successThreshold: 1, failureThreshold: 3 }
}
