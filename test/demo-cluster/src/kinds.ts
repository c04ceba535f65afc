/** A resource that the stand-in serves. */
export interface Kind {
  /** Empty: the core group. */
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly singular: string
  readonly kind: string
  readonly namespaced: boolean
  readonly shortNames: readonly string[]
  readonly subresources: readonly string[]
  readonly all: boolean
}

function kind(group: string, resource: string, name: string, options: Partial<Pick<Kind, 'namespaced' | 'shortNames' | 'subresources' | 'all'>> = {}): Kind {
  const { namespaced = true, shortNames = [], subresources = ['status'], all = false } = options
  return { group, version: 'v1', resource, singular: name.toLowerCase(), kind: name, namespaced, shortNames, subresources, all }
}

export const kinds: readonly Kind[] = [
  kind('', 'namespaces', 'Namespace', { namespaced: false, shortNames: ['ns'] }),
  kind('', 'nodes', 'Node', { namespaced: false, shortNames: ['no'] }),
  kind('', 'persistentvolumes', 'PersistentVolume', { namespaced: false, shortNames: ['pv'] }),
  kind('', 'pods', 'Pod', { shortNames: ['po'], subresources: ['status', 'log', 'exec', 'attach', 'portforward', 'eviction', 'ephemeralcontainers', 'proxy'], all: true }),
  kind('', 'services', 'Service', { shortNames: ['svc'], all: true }),
  kind('', 'configmaps', 'ConfigMap', { shortNames: ['cm'], subresources: [] }),
  kind('', 'secrets', 'Secret', { subresources: [] }),
  kind('', 'serviceaccounts', 'ServiceAccount', { shortNames: ['sa'], subresources: ['token'] }),
  kind('', 'events', 'Event', { shortNames: ['ev'], subresources: [] }),
  kind('', 'endpoints', 'Endpoints', { shortNames: ['ep'], subresources: [] }),
  kind('', 'persistentvolumeclaims', 'PersistentVolumeClaim', { shortNames: ['pvc'] }),
  kind('apps', 'deployments', 'Deployment', { shortNames: ['deploy'], subresources: ['status', 'scale'], all: true }),
  kind('apps', 'replicasets', 'ReplicaSet', { shortNames: ['rs'], subresources: ['status', 'scale'], all: true }),
  kind('apps', 'statefulsets', 'StatefulSet', { shortNames: ['sts'], subresources: ['status', 'scale'], all: true }),
  kind('apps', 'daemonsets', 'DaemonSet', { shortNames: ['ds'], all: true }),
  kind('batch', 'jobs', 'Job', { all: true }),
  kind('batch', 'cronjobs', 'CronJob', { shortNames: ['cj'], all: true }),
  kind('networking.k8s.io', 'ingresses', 'Ingress', { shortNames: ['ing'] }),
  kind('rbac.authorization.k8s.io', 'roles', 'Role', { subresources: [] }),
  kind('rbac.authorization.k8s.io', 'rolebindings', 'RoleBinding', { subresources: [] }),
  kind('rbac.authorization.k8s.io', 'clusterroles', 'ClusterRole', { namespaced: false, subresources: [] }),
  kind('rbac.authorization.k8s.io', 'clusterrolebindings', 'ClusterRoleBinding', { namespaced: false, subresources: [] }),
  kind('example.com', 'widgets', 'Widget'),
]

/** Asked, never stored. */
export const reviews: readonly Kind[] = [
  kind('authorization.k8s.io', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview', { namespaced: false, subresources: [] }),
  kind('authorization.k8s.io', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview', { namespaced: false, subresources: [] }),
  kind('authentication.k8s.io', 'selfsubjectreviews', 'SelfSubjectReview', { namespaced: false, subresources: [] }),
]

export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`
}

export function qualified({ group, resource }: Pick<Kind, 'group' | 'resource'>): string {
  return group === '' ? resource : `${resource}.${group}`
}
