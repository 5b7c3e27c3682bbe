// Versions as users see them.

/**
 * The API level, as `kubectl version` and `kubectl get nodes` show it. Our name stands behind a plus: behind a minus it would be a
 * pre-release, which the `kubeVersion: ">=1.25"` of a Helm chart refuses.
 */
export const kubernetesVersion = 'v1.36.0+navarch'

/** This program's own version; the build puts it in. */
export const navarchVersion = process.env.NAVARCH_VERSION ?? '0.0.0-development'

/** What /version answers. */
export const kubernetesVersionInfo = {
  major: '1',
  minor: '36',
  gitVersion: kubernetesVersion,
  gitCommit: process.env.NAVARCH_COMMIT ?? '',
  buildDate: process.env.NAVARCH_BUILD_DATE ?? '1970-01-01T00:00:00Z',
} as const
