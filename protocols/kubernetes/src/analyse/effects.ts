import type { Effect, JsonObject } from '@sallyport/policy'
import { analyseArgv } from '@sallyport/shell'
import type { RequestBody } from './body.js'
import { factsOfBody, isObject } from './facts.js'
import { valueOf, valuesOf } from './query.js'
import type { KubernetesRequest, ResourceRequest } from './request.js'

/** Asking about oneself reveals nothing new. */
const ownReviews: ReadonlySet<string> = new Set(['authorization.k8s.io/selfsubjectaccessreviews', 'authorization.k8s.io/selfsubjectrulesreviews', 'authentication.k8s.io/selfsubjectreviews'])
const otherReviews: ReadonlySet<string> = new Set(['authorization.k8s.io/subjectaccessreviews', 'authorization.k8s.io/localsubjectaccessreviews', 'authentication.k8s.io/tokenreviews'])
/** Objects by which more can be had than was given (Kubernetes: "RBAC good practices", privilege escalation risks). */
const rights: ReadonlySet<string> = new Set([
  'rbac.authorization.k8s.io/roles', 'rbac.authorization.k8s.io/clusterroles', 'rbac.authorization.k8s.io/rolebindings', 'rbac.authorization.k8s.io/clusterrolebindings',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations', 'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies', 'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'admissionregistration.k8s.io/mutatingadmissionpolicies', 'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
  'apiregistration.k8s.io/apiservices', 'certificates.k8s.io/certificatesigningrequests', 'certificates.k8s.io/clustertrustbundles',
])
/** These only when they are written: a volume can be a node's disk, a namespace's labels say what its pods may do. */
const rightsToWrite: ReadonlySet<string> = new Set(['/persistentvolumes', '/namespaces', '/serviceaccounts/token'])
/** Of these the API server makes the missing one whatever version a PUT says (k8s.io/kubernetes, AllowCreateOnUpdate). */
const createdByUpdate: ReadonlySet<string> = new Set([
  '/services', '/endpoints', '/events', 'events.k8s.io/events', 'coordination.k8s.io/leases', 'discovery.k8s.io/endpointslices',
  'rbac.authorization.k8s.io/roles', 'rbac.authorization.k8s.io/clusterroles', 'rbac.authorization.k8s.io/rolebindings', 'rbac.authorization.k8s.io/clusterrolebindings',
])
const writing: ReadonlySet<string> = new Set(['create', 'update', 'patch'])
/** Subresources that are a part of the object, read and written like it. */
const parts: ReadonlySet<string> = new Set(['status', 'scale', 'resize', 'finalize'])

/** Asks what the asker may do: whatever its body says, it changes and reveals nothing. */
export function isOwnReview(request: KubernetesRequest): boolean {
  return request.kind === 'resource' && request.verb === 'create' && ownReviews.has(`${request.group}/${request.resource}`)
}

/** All that a request would do. Never empty. */
export function effectsOf(request: KubernetesRequest, body: RequestBody | undefined): Effect[] {
  if (request.kind === 'discovery') return [{ action: 'k8s.discovery', resource: '', harmless: true, details: { path: request.path } }]
  if (request.kind === 'other') return [{ action: 'k8s.raw', resource: request.path, details: { mustName: true, method: request.method } }]
  const facts: JsonObject = { ...detailsOf(request), ...(body === undefined ? {} : { ...factsOfBody(body), ...deletionOf(request, body) }) }
  const resource = resourceOf(request, body)
  const review = `${request.group}/${request.resource}`
  if (isOwnReview(request)) return [{ action: 'k8s.review', resource, harmless: true, details: facts }]
  if (request.verb === 'create' && otherReviews.has(review)) return [{ action: 'k8s.review', resource, details: facts }]
  // The old form of pods/NAME/binding: it puts a pod on a node.
  if (request.group === '' && request.resource === 'bindings') return [{ action: 'k8s.subresource', resource: `pods/${request.namespace}/${nameInBody(request, body) ?? '*'}/binding`, details: { ...facts, mustName: true } }]
  if (request.subresource !== undefined && !parts.has(request.subresource)) return ofSubresource(request, request.subresource, resource, facts)
  const effects: Effect[] = [{ action: `k8s.${request.verb}`, resource, details: facts }]
  // What is forbidden on the object is forbidden on its parts: a status is the whole object, a scale its replicas.
  if (request.subresource !== undefined) effects.push({ action: `k8s.${request.verb}`, resource: objectOf(request, request.name ?? '*'), implied: true, details: facts })
  if (mayCreate(request, body)) effects.push({ action: 'k8s.create', resource, details: facts })
  const along = deletedAlong(request)
  if (along !== undefined) for (const action of ['k8s.delete', 'k8s.deletecollection']) effects.push({ action, resource: along.resource, implied: true, details: { because: along.because } })
  return effects
}

/** Server-side apply makes the object when there is none; so does a PUT that says no version of what it replaces. */
function mayCreate({ verb, subresource, group, resource }: ResourceRequest, body: RequestBody | undefined): boolean {
  if (subresource !== undefined || body === undefined) return false
  if (body.type === 'apply-patch') return true
  if (verb !== 'update') return false
  const metadata = isObject(body.value) ? body.value['metadata'] : undefined
  const version = isObject(metadata) ? metadata['resourceVersion'] : undefined
  return createdByUpdate.has(`${group}/${resource}`) || typeof version !== 'string' || version === '' || version === '0'
}

/** What a deletion takes along, whatever its options are. */
function deletedAlong({ group, resource, subresource, verb, name }: ResourceRequest): { resource: string; because: string } | undefined {
  if (subresource !== undefined || (verb !== 'delete' && verb !== 'deletecollection')) return undefined
  if (group === '' && resource === 'namespaces') return { resource: `*/${name ?? '*'}/*`, because: 'the namespace is deleted' }
  // A definition is called by what it defines: `widgets.example.com`.
  if (group === 'apiextensions.k8s.io' && resource === 'customresourcedefinitions') return { resource: `${name ?? '*'}/*/*`, because: 'the definition is deleted' }
  return undefined
}

/** Options of a deletion, which stand in its body. */
function deletionOf({ verb, subresource }: ResourceRequest, { value: body }: RequestBody): JsonObject {
  const value = subresource === 'eviction' && isObject(body) ? body['deleteOptions'] : verb === 'delete' || verb === 'deletecollection' ? body : undefined
  if (!isObject(value)) return {}
  const { dryRun, propagationPolicy, gracePeriodSeconds, orphanDependents } = value
  return {
    ...(Array.isArray(dryRun) && dryRun.includes('All') ? { dry_run: true } : {}),
    ...(typeof propagationPolicy === 'string' ? { propagation: propagationPolicy } : orphanDependents === true ? { propagation: 'Orphan' } : {}),
    ...(typeof gracePeriodSeconds === 'number' ? { grace_seconds: String(gracePeriodSeconds) } : {}),
  }
}

function ofSubresource(request: ResourceRequest, subresource: string, resource: string, facts: JsonObject): Effect[] {
  const ofPod = request.group === '' && request.resource === 'pods'
  const object = objectOf(request, (subresource === 'proxy' ? proxiedName(request).name : request.name) ?? '*')
  switch (subresource) {
    case 'log':
      if (ofPod && request.verb === 'get') return [{ action: 'k8s.logs', resource: object, details: facts }]
      break
    case 'exec':
      if (ofPod) return execEffects(request, object, facts)
      break
    case 'attach':
      if (ofPod) return [{ action: 'k8s.attach', resource: object, details: facts }]
      break
    case 'portforward':
      if (ofPod) return [{ action: 'k8s.portforward', resource: object, details: facts }]
      break
    case 'ephemeralcontainers':
      if (ofPod) return [{ action: request.verb === 'get' ? 'k8s.get' : 'k8s.ephemeral', resource: object, details: facts }]
      break
    case 'eviction':
      if (ofPod && request.verb === 'create') return [{ action: 'k8s.delete', resource: object, details: { ...facts, eviction: true } }]
      break
    case 'proxy':
      return [{ action: 'k8s.proxy', resource: object, details: { ...facts, ...proxiedName(request), mustName: true, path: request.path } }]
    case 'token':
      return [{ action: 'k8s.token', resource: object, details: { ...facts, mustName: true } }]
  }
  return [{ action: 'k8s.subresource', resource, details: { ...facts, mustName: true } }]
}

/** A proxied name may say scheme and port, too: `https:web:443` (k8s.io/apimachinery, SplitSchemeNamePort). */
function proxiedName({ name }: ResourceRequest): { name?: string; scheme?: string; port?: string } {
  const parts = name?.split(':') ?? []
  const [scheme, bare, port] = parts.length === 3 ? parts : [undefined, ...parts]
  return {
    ...(bare === undefined ? {} : { name: bare }),
    ...(scheme === undefined || scheme === '' ? {} : { scheme }),
    ...(port === undefined || port === '' ? {} : { port }),
  }
}

/** What runs in the container, as the shell analysis of SSH tells it: one effect for each simple command. */
function execEffects(request: ResourceRequest, resource: string, facts: JsonObject): Effect[] {
  const argv = valuesOf(request.query, 'command')
  const { commands, redirections, opaque } = analyseArgv(argv)
  const effects: Effect[] = commands.flatMap((simple) => {
    const details = {
      ...facts,
      argv: simple.argv,
      ...(simple.unknownArguments?.length ? { unknown: simple.unknownArguments } : {}),
      ...(simple.via.length > 0 ? { via: simple.via } : {}),
      ...(simple.runAs === undefined ? {} : { run_as: simple.runAs }),
      ...(simple.assignments.length > 0 ? { environment: simple.assignments.map(({ name, value }) => `${name}=${value}`) } : {}),
    }
    const exec: Effect = { action: 'k8s.exec', resource, details }
    return simple.runAs === undefined ? [exec] : [exec, { action: 'k8s.exec.sudo', resource, details: { ...details, mustName: true } }]
  })
  for (const { access, path } of redirections) effects.push({ action: 'k8s.exec.redirect', resource, details: { ...facts, access, path } })
  for (const { reason, text } of opaque) effects.push({ action: 'k8s.exec.opaque', resource, details: { ...facts, mustName: true, reason, ...(text === '' ? {} : { text: text.slice(0, 500) }) } })
  return effects.length > 0 ? effects : [{ action: 'k8s.exec.opaque', resource, details: { ...facts, mustName: true, reason: 'no command' } }]
}

/** `<resource>[.<group>]/<namespace>/<name>[/<subresource>]`; `*` stands for many or unknown ones. */
function resourceOf(request: ResourceRequest, body: RequestBody | undefined): string {
  const named = request.name ?? nameInBody(request, body) ?? '*'
  const object = objectOf(request, named)
  return request.subresource === undefined ? object : `${object}/${request.subresource}`
}

function objectOf({ group, resource, namespace }: ResourceRequest, name: string): string {
  return `${resource}${group === '' ? '' : `.${group}`}/${namespace}/${name}`
}

/** What is created names itself, unless the server is to choose. */
function nameInBody({ verb }: ResourceRequest, body: RequestBody | undefined): string | undefined {
  if (verb !== 'create' || body === undefined || !isObject(body.value)) return undefined
  const { metadata } = body.value
  const name = isObject(metadata) ? metadata['name'] : undefined
  return typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/.test(name) ? name : undefined
}

function detailsOf(request: ResourceRequest): JsonObject {
  const { group, version, resource, namespace, name, subresource, verb, query } = request
  const query_ = (parameter: string): string | undefined => valueOf(query, parameter)
  const details: Record<string, JsonObject[string]> = { verb, group, version, resource, namespace }
  if (name !== undefined) details['name'] = name
  if (subresource !== undefined) details['subresource'] = subresource
  // What stands behind a proxied path is another server's.
  if (subresource === 'proxy') return { ...details, ...(resource === 'nodes' ? { escalates: true } : {}) }
  for (const [fact, parameter] of textFacts) {
    const value = query_(parameter)
    if (value !== undefined) details[fact] = fact === 'grace_seconds' ? String(Number(value)) : value
  }
  if (query_('orphanDependents') === 'true' && details['propagation'] === undefined) details['propagation'] = 'Orphan'
  for (const parameter of ['stdin', 'tty', 'follow', 'previous', 'force'] as const) if (query_(parameter) === 'true') details[parameter] = true
  if (query_('dryRun') === 'All') details['dry_run'] = true
  if (subresource === 'portforward') {
    const ports = valuesOf(query, 'ports').flatMap((value) => value.split(','))
    details['ports'] = ports
    if (ports.length > 0) details['port'] = ports.map(Number)
  }
  if (group === '' && resource === 'secrets') details['sensitive'] = true
  const full = `${group}/${resource}`
  // Amazon EKS reads from it who is who.
  if (full === '/configmaps' && namespace === 'kube-system' && name === 'aws-auth' && verb !== 'get') details['escalates'] = true
  if (rights.has(full) || (writing.has(verb) && rightsToWrite.has(subresource === 'token' ? `${full}/token` : full))) details['escalates'] = true
  return details
}

const textFacts = [
  ['container', 'container'],
  ['label_selector', 'labelSelector'],
  ['field_selector', 'fieldSelector'],
  ['propagation', 'propagationPolicy'],
  ['grace_seconds', 'gracePeriodSeconds'],
] as const
