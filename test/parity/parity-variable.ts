/** The environment variable that names the kubeconfig of the cluster to test; unset: our own is started. */
export const kubeconfigVariable = 'NAVARCH_PARITY_KUBECONFIG'
