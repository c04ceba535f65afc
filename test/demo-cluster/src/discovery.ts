import type { Json, JsonObject } from './json.js'
import { apiVersionOf, kinds, reviews, type Kind } from './kinds.js'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const groups = [...new Set([...kinds, ...reviews].map(({ group }) => group))]

function verbsOf(kind: Kind): string[] {
  return reviews.includes(kind) ? ['create'] : verbs
}

function ofGroup(group: string): Kind[] {
  return [...kinds, ...reviews].filter((kind) => kind.group === group)
}

function apiGroup(group: string): JsonObject {
  const version = { groupVersion: `${group}/v1`, version: 'v1' }
  return { name: group, versions: [version], preferredVersion: version }
}

function resourceList(group: string): JsonObject {
  const resources: Json[] = ofGroup(group).flatMap((kind) => [
    { name: kind.resource, singularName: kind.singular, namespaced: kind.namespaced, kind: kind.kind, verbs: verbsOf(kind), shortNames: [...kind.shortNames], ...(kind.all ? { categories: ['all'] } : {}) },
    ...kind.subresources.map((subresource) => ({ name: `${kind.resource}/${subresource}`, singularName: '', namespaced: kind.namespaced, kind: subresource === 'scale' ? 'Scale' : kind.kind, verbs: ['get', 'patch', 'update', 'create'] })),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version: 'v1' }), resources }
}

function aggregated(wanted: readonly string[], version: string): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: wanted.map((group) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: [
        {
          version: 'v1',
          freshness: 'Current',
          resources: ofGroup(group).map((kind) => ({
            resource: kind.resource,
            responseKind: { group, version: 'v1', kind: kind.kind },
            scope: kind.namespaced ? 'Namespaced' : 'Cluster',
            singularResource: kind.singular,
            verbs: verbsOf(kind),
            shortNames: [...kind.shortNames],
            ...(kind.all ? { categories: ['all'] } : {}),
            subresources: kind.subresources.map((subresource) => ({
              subresource, responseKind: { group: subresource === 'scale' ? 'autoscaling' : group, version: 'v1', kind: subresource === 'scale' ? 'Scale' : kind.kind }, verbs: ['get', 'patch', 'update', 'create'],
            })),
          })),
        },
      ],
    })),
  }
}

export interface DiscoveryAnswer {
  readonly type: string
  readonly body: Json
}

/** What `/api`, `/apis`, `/version` and `/openapi/v3` answer; undefined for other paths. */
export function discovery(path: string, accept: string): DiscoveryAnswer | undefined {
  const wantsAggregated = /as=APIGroupDiscoveryList/.test(accept)
  const version = /v=v2(;|,|$)/.test(accept) ? 'v2' : 'v2beta1'
  const json = (body: Json): DiscoveryAnswer => ({ type: 'application/json', body })
  const list = (wanted: readonly string[]): DiscoveryAnswer => ({ type: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`, body: aggregated(wanted, version) })
  const named = groups.filter((group) => group !== '')
  switch (path) {
    case '/version':
      return json({ major: '1', minor: '32', gitVersion: 'v1.32.0-sallyport-demo', gitCommit: '0', gitTreeState: 'clean', buildDate: '2025-01-01T00:00:00Z', goVersion: 'none', compiler: 'none', platform: 'demo' })
    case '/api':
      return wantsAggregated ? list(['']) : json({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] })
    case '/apis':
      return wantsAggregated ? list(named) : json({ kind: 'APIGroupList', apiVersion: 'v1', groups: named.map(apiGroup) })
    case '/openapi/v3':
      return json({ paths: Object.fromEntries(groups.map((group) => [group === '' ? 'api/v1' : `apis/${group}/v1`, { serverRelativeURL: `/openapi/v3/${group === '' ? 'api/v1' : `apis/${group}/v1`}?hash=0` }])) })
  }
  const parts = path.split('/').slice(1)
  if (path === '/api/v1') return json(resourceList(''))
  if (parts[0] === 'apis' && parts.length === 2 && named.includes(parts[1] ?? '')) return json({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(parts[1] ?? '') })
  if (parts[0] === 'apis' && parts.length === 3 && parts[2] === 'v1' && named.includes(parts[1] ?? '')) return json(resourceList(parts[1] ?? ''))
  if (path.startsWith('/openapi/v3/')) {
    const group = path === '/openapi/v3/api/v1' ? '' : (/^\/openapi\/v3\/apis\/([a-z0-9.-]+)\/v1$/.exec(path)?.[1] ?? '?')
    return groups.includes(group) ? json(openApi(group)) : undefined
  }
  return undefined
}

/** As much of OpenAPI as kubectl needs to see that the server validates fields itself. */
function openApi(group: string): JsonObject {
  const prefix = group === '' ? '/api/v1' : `/apis/${group}/v1`
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }))
  const paths = ofGroup(group).map((kind) => {
    const place = kind.namespaced ? `${prefix}/namespaces/{namespace}/${kind.resource}` : `${prefix}/${kind.resource}`
    const gvk = { group, version: 'v1', kind: kind.kind }
    return entry(`${place}/{name}`, { patch: { parameters, 'x-kubernetes-action': 'patch', 'x-kubernetes-group-version-kind': gvk, responses: { 200: { description: 'OK' } } } })
  })
  const schemas = ofGroup(group).map((kind) => entry(`${group === '' ? 'core' : group}.v1.${kind.kind}`, { type: 'object', description: `${kind.kind} of the demo cluster.`, 'x-kubernetes-group-version-kind': [{ group, version: 'v1', kind: kind.kind }] }))
  return { openapi: '3.0.0', info: { title: 'Demo cluster', version: 'v1.32.0' }, paths: Object.fromEntries(paths), components: { schemas: Object.fromEntries(schemas) } }
}

function entry(name: string, value: JsonObject): [string, JsonObject] {
  return [name, value]
}
