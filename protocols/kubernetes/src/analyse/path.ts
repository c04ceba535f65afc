import { badPath, RequestRefusedError } from './refused.js'

/** Where a path leads, before the method is looked at. */
export type Place =
  | { readonly kind: 'discovery' }
  | { readonly kind: 'other' }
  | {
      readonly kind: 'resource'
      /** Empty: the core group. */
      readonly group: string
      readonly version: string
      readonly resource: string
      readonly namespace: string | undefined
      readonly name: string | undefined
      readonly subresource: string | undefined
      /** Behind `proxy`. */
      readonly rest: readonly string[]
    }

const maxPathLength = 4096
/** Nothing of a path of the API has to be escaped: names are DNS labels, or at most hold `:` (RBAC). */
const plainPath = /^\/[A-Za-z0-9._~:@$&'()*+,=!/-]*$/
const groupPattern = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const versionPattern = /^v[1-9][0-9]{0,3}(?:(?:alpha|beta)[1-9][0-9]{0,3})?$/
const resourcePattern = /^[a-z][a-z0-9-]{0,62}$/
const namespacePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/

/** Subresources of a namespace itself: behind `/namespaces/x/` everything else is a resource in it (k8s.io/apiserver, RequestInfo). */
const ofNamespaces: ReadonlySet<string> = new Set(['status', 'finalize'])
const health: ReadonlySet<string> = new Set(['healthz', 'livez', 'readyz'])

/**
 * Reads a path as the API server will (k8s.io/apiserver, RequestInfoFactory), but only in its canonical form.
 * @throws {RequestRefusedError}
 */
export function readPath(path: string): Place {
  if (path.length > maxPathLength) throw badPath(`the path is longer than ${maxPathLength} characters`)
  if (!plainPath.test(path)) throw badPath('the path holds an escape, or a character that no path of the API has')
  const whole = path === '/' ? [] : path.slice(1).split('/')
  // Clients ask for the two roots with and without a slash.
  if (whole.length === 2 && whole[1] === '' && (whole[0] === 'api' || whole[0] === 'apis' || whole[0] === 'version')) whole.pop()
  // What is behind `proxy` is another server's path: there a slash at the end means something.
  const proxied = whole.indexOf('proxy')
  for (const [index, segment] of whole.entries()) {
    if (segment === '' && !(proxied > 3 && index === whole.length - 1)) throw badPath('the path has an empty segment (two slashes, or one at its end)')
    if (segment === '.' || segment === '..') throw badPath('the path has a dot segment')
  }
  const [root, ...parts] = whole
  if (root === undefined) return { kind: 'discovery' }
  if (root === 'api') return resourceAt('', parts)
  if (root === 'apis') {
    const [group, ...inGroup] = parts
    if (group === undefined) return { kind: 'discovery' }
    if (!groupPattern.test(group)) throw badPath('the API group is not one in canonical form')
    return resourceAt(group, inGroup)
  }
  if (root === 'version' && parts.length === 0) return { kind: 'discovery' }
  if (root === 'openapi' && (parts[0] === 'v2' ? parts.length === 1 : parts[0] === 'v3')) return { kind: 'discovery' }
  if (health.has(root)) return { kind: 'discovery' }
  return { kind: 'other' }
}

function resourceAt(group: string, parts: readonly string[]): Place {
  const [version, ...inVersion] = parts
  if (version === undefined) return { kind: 'discovery' }
  if (!versionPattern.test(version)) throw badPath('the API version is not one in canonical form')
  const [first, second, third] = inVersion
  if (first === undefined) return { kind: 'discovery' }
  if (first === 'watch' || first === 'proxy') {
    throw new RequestRefusedError({ status: 404, rule: 'canonical-path', message: `the old form of paths with /${first}/ is not taken`, hint: 'Use ?watch=true, or the proxy subresource.' })
  }
  let namespace: string | undefined
  let rest = inVersion
  if (first === 'namespaces' && third !== undefined && !ofNamespaces.has(third)) {
    namespace = second ?? ''
    if (!namespacePattern.test(namespace)) throw badPath('the namespace is not one in canonical form')
    rest = inVersion.slice(2)
  }
  const [resource = '', name, subresource, ...behind] = rest
  if (!resourcePattern.test(resource)) throw badPath('the resource is not one in canonical form')
  if (name !== undefined && !namePattern.test(name)) throw badPath('the name is not one in canonical form')
  if (subresource !== undefined && !resourcePattern.test(subresource)) throw badPath('the subresource is not one in canonical form')
  if (behind.length > 0 && subresource !== 'proxy') throw badPath('there is nothing below a subresource')
  return { kind: 'resource', group, version, resource, namespace, name, subresource, rest: behind }
}

/** Resources that lie in no namespace (Kubernetes API reference); of others a path without a namespace may mean all. */
const clusterScoped: ReadonlySet<string> = new Set([
  '/namespaces', '/nodes', '/persistentvolumes', '/componentstatuses',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations', 'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies', 'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'apiextensions.k8s.io/customresourcedefinitions', 'apiregistration.k8s.io/apiservices',
  'authentication.k8s.io/tokenreviews', 'authentication.k8s.io/selfsubjectreviews',
  'authorization.k8s.io/subjectaccessreviews', 'authorization.k8s.io/selfsubjectaccessreviews', 'authorization.k8s.io/selfsubjectrulesreviews',
  'certificates.k8s.io/certificatesigningrequests', 'certificates.k8s.io/clustertrustbundles',
  'flowcontrol.apiserver.k8s.io/flowschemas', 'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
  'metrics.k8s.io/nodes', 'networking.k8s.io/ingressclasses', 'networking.k8s.io/ipaddresses', 'networking.k8s.io/servicecidrs', 'node.k8s.io/runtimeclasses',
  'rbac.authorization.k8s.io/clusterroles', 'rbac.authorization.k8s.io/clusterrolebindings', 'resource.k8s.io/deviceclasses', 'resource.k8s.io/resourceslices',
  'scheduling.k8s.io/priorityclasses', 'storage.k8s.io/csidrivers', 'storage.k8s.io/csinodes', 'storage.k8s.io/storageclasses', 'storage.k8s.io/volumeattachments',
])

export function isClusterScoped(group: string, resource: string): boolean {
  return clusterScoped.has(`${group}/${resource}`)
}
