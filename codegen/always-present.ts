// Fields that defaulting always fills, so the TypeScript types say they are there. `src/api/kinds` must keep this true; a test compares.

/** Definition's short name (module/Type) -> fields that are never absent once the registry has decoded and defaulted the object. */
export const alwaysPresent: Readonly<Record<string, readonly string[]>> = {
  'apps-v1/DeploymentSpec': ['replicas', 'revisionHistoryLimit', 'progressDeadlineSeconds'],
  'apps-v1/ReplicaSetSpec': ['replicas'],
  'apps-v1/StatefulSetSpec': ['replicas', 'podManagementPolicy', 'revisionHistoryLimit'],
  'apps-v1/DaemonSetSpec': ['revisionHistoryLimit'],
  'core-v1/PodSpec': ['restartPolicy', 'dnsPolicy', 'terminationGracePeriodSeconds', 'schedulerName', 'securityContext'],
  'core-v1/Container': ['imagePullPolicy', 'terminationMessagePath', 'terminationMessagePolicy', 'image'],
  'core-v1/ContainerPort': ['protocol'],
  'core-v1/Probe': ['timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'],
  'core-v1/ServiceSpec': ['type', 'sessionAffinity', 'internalTrafficPolicy'],
  'core-v1/ServicePort': ['protocol', 'targetPort'],
}
