import type { JsonValue } from '@sallyport/policy'
import { z } from 'zod'
import { isObject } from './facts.js'
import { badBody, RequestRefusedError } from './refused.js'
import { refuseDeleteOptions, type KubernetesRequest, type RequestHead, type ResourceRequest } from './request.js'
import { parseStrictJson } from './strict-json.js'
import { parseStrictYaml } from './strict-yaml.js'

export type BodyType = 'protobuf' | 'json' | 'yaml' | 'json-patch' | 'merge-patch' | 'strategic-merge-patch' | 'apply-patch'

/**
 * A body that was understood. The bytes are what reaches the API server. Of protobuf the value is null until the API server
 * has said what it reads in it.
 */
export interface RequestBody {
  readonly type: BodyType
  readonly contentType: string
  readonly bytes: Buffer
  readonly value: JsonValue
}

const types: Readonly<Record<string, BodyType>> = {
  'application/vnd.kubernetes.protobuf': 'protobuf',
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/json-patch+json': 'json-patch',
  'application/merge-patch+json': 'merge-patch',
  'application/strategic-merge-patch+json': 'strategic-merge-patch',
  'application/apply-patch+yaml': 'apply-patch',
}

/**
 * Reads a body by its content type.
 * @returns undefined when there is none
 * @throws {RequestRefusedError} when it can't be read in exactly one way, or speaks of another object than the path
 */
export function parseBody(request: KubernetesRequest, head: Pick<RequestHead, 'header'>, bytes: Buffer): RequestBody | undefined {
  if (bytes.length === 0) return undefined
  if ((head.header('content-encoding') ?? 'identity') !== 'identity') throw unsupported('a compressed body is not taken')
  const declared = (head.header('content-type') ?? 'application/json').split(';')
  const contentType = (declared[0] ?? '').trim().toLowerCase()
  const type = types[contentType]
  if (type === undefined) throw unsupported('the body is in a form that is not read here')
  if (request.kind !== 'resource') throw badBody('a body has no place here')
  if (type === 'protobuf') {
    // What kubectl's generators (create configmap, create secret …) and typed clients send.
    const dryRuns = request.subresource === undefined || protobufSubresources.has(request.subresource)
    if ((request.verb !== 'create' && request.verb !== 'update') || !dryRuns) throw unsupported('protobuf is taken for creating and replacing objects only')
    return { type, contentType, bytes, value: null }
  }
  // Beside a body the API server ignores what the query says of a deletion.
  if (request.verb === 'delete') refuseDeleteOptions(request.query)
  const isPatch = type !== 'json' && type !== 'yaml'
  if (isPatch !== (request.verb === 'patch')) throw unsupported(isPatch ? 'a patch belongs to PATCH' : 'PATCH needs the content type of a patch')
  const value = type === 'yaml' || type === 'apply-patch' ? parseStrictYaml(bytes) : parseStrictJson(bytes)
  if (type === 'json-patch') checkJsonPatch(value)
  else checkObject(request, value, type)
  // Readers of YAML differ (`yes` is true to some): what is sent on is what was understood.
  if ((type === 'yaml' || type === 'apply-patch') && bytes[0] !== 0x7b) return { type, contentType: type === 'yaml' ? 'application/json' : contentType, bytes: Buffer.from(JSON.stringify(value)), value }
  return { type, contentType, bytes, value }
}

/** Fields that the server fills in, and that whoever sent the body has not said. */
const filledIn = ['uid', 'creationTimestamp', 'resourceVersion', 'generation', 'managedFields', 'selfLink'] as const

/**
 * A protobuf body as the API server reads it: what it answers to a dry run.
 * @throws {RequestRefusedError} when that is another object than the path's
 */
export function understood(request: ResourceRequest, body: RequestBody, answer: JsonValue): RequestBody {
  checkObject(request, answer, 'json')
  if (!isObject(answer)) throw badBody('the body is no object of the API')
  const { status: _status, metadata, ...rest } = answer
  const own: Record<string, JsonValue> = isObject(metadata) ? { ...metadata } : {}
  for (const field of filledIn) delete own[field]
  // The server has chosen a name for the dry run, and will choose another one.
  if (typeof own['generateName'] === 'string' && own['generateName'] !== '') delete own['name']
  return { ...body, value: { ...rest, metadata: own } }
}

/** Those for which a dry run is known to change nothing. */
const protobufSubresources: ReadonlySet<string> = new Set(['eviction', 'scale', 'status'])

const metaSchema = z.looseObject({
  kind: z.string().optional(),
  apiVersion: z.string().optional(),
  metadata: z.looseObject({ name: z.string().optional(), namespace: z.string().optional() }).nullish(),
})

const jsonPatchSchema = z.array(
  z.looseObject({ op: z.enum(['add', 'remove', 'replace', 'move', 'copy', 'test']), path: z.string(), from: z.string().optional() }),
)

function checkJsonPatch(value: JsonValue): void {
  const parsed = jsonPatchSchema.safeParse(value)
  if (!parsed.success) throw badBody('the body is not a JSON patch (RFC 6902)')
  const pointers = parsed.data.flatMap(({ path, from }) => (from === undefined ? [path] : [path, from]))
  // Readers differ on pointers that RFC 6901 doesn't allow.
  for (const pointer of pointers) if (!/^(?:\/(?:[^~/]|~[01])*){0,64}$/.test(pointer)) throw badBody('a path of the JSON patch is no JSON pointer (RFC 6901), or is too deep')
}

/** What the body says of itself must not differ from what was decided by the path. */
function checkObject(request: ResourceRequest, value: JsonValue, type: BodyType): void {
  const parsed = metaSchema.safeParse(value)
  if (!parsed.success) throw badBody('the body is no object of the API')
  const { apiVersion, kind, metadata } = parsed.data
  const full = type === 'json' || type === 'yaml' || type === 'apply-patch'
  const own = request.group === '' ? request.version : `${request.group}/${request.version}`
  const isOptions = request.verb === 'delete' || request.verb === 'deletecollection'
  // Subresources have kinds of their own groups (scale: autoscaling/v1, token: authentication.k8s.io/v1, eviction: policy/v1).
  if (full && !isOptions && request.subresource === undefined && apiVersion !== undefined && apiVersion !== own) throw badBody('the body is of another API version than the path')
  if (full && kind !== undefined && !isKindOf(request, kind)) throw badBody('the body is of another kind than the path')
  const name = metadata?.name
  const namespace = metadata?.namespace
  if (request.name !== undefined && name !== undefined && name !== '' && name !== request.name && !isOptions) throw badBody('the body names another object than the path')
  if (namespace !== undefined && namespace !== '' && request.namespace !== '*' && request.namespace !== '-' && namespace !== request.namespace) throw badBody('the body names another namespace than the path')
}

/** Kubernetes' own resources are called by the plural of their kind; how a definition of others calls them, it alone knows. */
function isKindOf({ group, resource, subresource, verb }: ResourceRequest, kind: string): boolean {
  if (verb === 'delete' || verb === 'deletecollection') return kind === 'DeleteOptions'
  if (subresource !== undefined || (group.includes('.') && !group.endsWith('.k8s.io'))) return true
  const singular = kind.toLowerCase()
  return [singular, `${singular}s`, `${singular}es`, singular.replace(/y$/, 'ies')].includes(resource)
}

function unsupported(message: string): RequestRefusedError {
  return new RequestRefusedError({ status: 415, rule: 'content-type', message, hint: 'Send JSON (application/json), or a patch in one of its JSON or YAML types.' })
}
