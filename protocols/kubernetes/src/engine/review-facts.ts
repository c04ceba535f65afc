import type { CompiledMasks, JsonObject, JsonValue } from '@sallyport/policy'
import { z } from 'zod'
import type { KubernetesRequest, RequestBody, ResourceRequest } from '../analyse/index.js'
import { diffObjects, mergePatched, PatchError, ResponseMaskError, type PatchType } from '../mask/index.js'
import { violation, type ApiServer } from './api-server.js'
import { readAll } from './read-all.js'

const maxObjectBytes = 4 * 1024 * 1024
const maxListBytes = 16 * 1024 * 1024
const maxShown = 50
const milliseconds = 10_000

/** What reviewers are shown of the cluster as it is: what a change changes, and what goes with what is deleted. */
export async function reviewFacts(server: ApiServer, request: KubernetesRequest, body: RequestBody | undefined, masks: CompiledMasks): Promise<JsonObject> {
  if (request.kind !== 'resource') return {}
  switch (request.verb) {
    case 'patch':
    case 'update':
      try {
        return await changes(server, request, body, masks)
      } catch (error) {
        // The API server will say the same of such a patch, if it is approved.
        if (error instanceof PatchError || error instanceof ResponseMaskError) return { diff: `can not be told: ${error.message}` }
        throw error
      }
    case 'delete':
      return deletion(server, request)
    default:
      return {}
  }
}

async function changes(server: ApiServer, request: ResourceRequest, body: RequestBody | undefined, masks: CompiledMasks): Promise<JsonObject> {
  if (body?.value === undefined) return {}
  const live = await read(server, pathOf(request), maxObjectBytes)
  const type = patchTypes[body.type]
  const { changes: list, truncated } = diffObjects(live, type === undefined ? body.value : mergePatched(live, body.value, type), { masks, resource: { group: request.group, resource: request.resource } })
  return {
    live_object: live === undefined ? 'does not exist' : 'exists',
    diff: list.map(({ path, from, to }) => ({ path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) })),
    ...(truncated ? { diff_truncated: true } : {}),
  }
}

const patchTypes: Readonly<Partial<Record<RequestBody['type'], PatchType>>> = { 'merge-patch': 'merge', 'json-patch': 'json', 'strategic-merge-patch': 'strategic', 'apply-patch': 'apply' }

const metaSchema = z.object({ metadata: z.object({ name: z.string(), uid: z.string().optional(), ownerReferences: z.array(z.object({ uid: z.string() })).optional() }) })
const listSchema = z.object({ items: z.array(metaSchema) })
type Meta = z.infer<typeof metaSchema>

/** Kinds that a controller makes, by what owns them, as far as the built-in ones go. */
const dependents: Readonly<Record<string, readonly string[]>> = {
  'apps/deployments': ['apps/v1/replicasets', 'v1/pods'],
  'apps/replicasets': ['v1/pods'],
  'apps/statefulsets': ['v1/pods'],
  'apps/daemonsets': ['v1/pods'],
  'batch/jobs': ['v1/pods'],
  'batch/cronjobs': ['batch/v1/jobs', 'v1/pods'],
}
/** What a namespace holds, counted. */
const inNamespaces = ['v1/pods', 'v1/services', 'v1/configmaps', 'v1/secrets', 'v1/persistentvolumeclaims', 'apps/v1/deployments', 'apps/v1/statefulsets', 'apps/v1/daemonsets', 'batch/v1/jobs', 'batch/v1/cronjobs']

async function deletion(server: ApiServer, request: ResourceRequest): Promise<JsonObject> {
  const { group, resource, name, namespace, subresource } = request
  if (subresource !== undefined || name === undefined) return {}
  if (resource === 'namespaces' && group === '') {
    const counts: Record<string, number> = {}
    for (const kind of inNamespaces) {
      const items = await list(server, kind, name)
      if (items.length > 0) counts[kind.slice(kind.lastIndexOf('/') + 1)] = items.length
    }
    return { deleted_with_it: counts }
  }
  const kinds = dependents[`${group}/${resource}`]
  if (kinds === undefined || namespace === undefined) return {}
  const live = metaSchema.safeParse(await read(server, pathOf(request), maxObjectBytes))
  if (!live.success) return { live_object: 'does not exist' }
  const gone = new Set([live.data.metadata.uid])
  const names: string[] = []
  for (const kind of kinds) {
    for (const { metadata } of await list(server, kind, namespace)) {
      if (metadata.ownerReferences?.some(({ uid }) => gone.has(uid)) !== true) continue
      gone.add(metadata.uid)
      names.push(`${kind.slice(kind.lastIndexOf('/') + 1)}/${metadata.name}`)
    }
  }
  return { deleted_with_it: names.length > maxShown ? [...names.slice(0, maxShown), `and ${names.length - maxShown} more`] : names }
}

/** The object's own path: the request's without its query. */
function pathOf({ target }: ResourceRequest): string {
  return target.split('?', 1)[0] ?? target
}

async function list(server: ApiServer, kind: string, namespace: string): Promise<Meta[]> {
  const [resource = '', ...groupVersion] = kind.split('/').reverse()
  const root = groupVersion.length === 1 ? '/api' : '/apis'
  const parsed = listSchema.safeParse(await read(server, `${root}/${groupVersion.reverse().join('/')}/namespaces/${namespace}/${resource}?limit=500`, maxListBytes))
  return parsed.success ? parsed.data.items : []
}

/** Undefined when there is none, or the agent's account may not see it. */
async function read(server: ApiServer, target: string, limit: number): Promise<JsonValue | undefined> {
  const response = await server.send({ method: 'GET', target, headers: { accept: 'application/json' }, signal: AbortSignal.timeout(milliseconds) })
  const text = await readAll(response, limit)
  if (response.statusCode !== 200) return undefined
  try {
    const value: JsonValue = JSON.parse(text)
    return value
  } catch {
    throw violation('answered with JSON that can not be read')
  }
}
