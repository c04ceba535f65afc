import { negotiated } from './accept.js'
import { isClusterScoped, readPath, type Place } from './path.js'
import { checkQuery, queryText, readQuery, valueOf, type QueryKind, type QueryList } from './query.js'
import { badPath, badQuery, RequestRefusedError } from './refused.js'

/** What a client asks, as it came. */
export interface RequestHead {
  readonly method: string
  /** Path and query, raw. */
  readonly path: string
  /** What it wants to switch to, in small letters. */
  readonly upgrade: string | undefined
  readonly hasBody: boolean
  /** By its name in small letters; a header that came twice is joined by commas. */
  header(name: string): string | undefined
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

interface Common {
  readonly method: string
  /** Path and query as they reach the API server: written anew from what was understood. */
  readonly target: string
  readonly path: string
  readonly query: QueryList
  /** The Accept header that reaches the API server. */
  readonly accept: string
  readonly upgrade: 'websocket' | 'spdy/3.1' | undefined
}

export interface ResourceRequest extends Common {
  readonly kind: 'resource'
  readonly verb: Verb
  /** Empty: the core group. */
  readonly group: string
  readonly version: string
  readonly resource: string
  /** `-` for what lies in none, `*` for all. */
  readonly namespace: string
  /** Undefined for many: lists, watches, creation. */
  readonly name: string | undefined
  readonly subresource: string | undefined
}

/** What the API server says of itself. */
export interface DiscoveryRequest extends Common {
  readonly kind: 'discovery'
}

/** Any other path. */
export interface RawRequest extends Common {
  readonly kind: 'other'
}

export type KubernetesRequest = ResourceRequest | DiscoveryRequest | RawRequest

const verbs: Readonly<Record<string, Verb>> = { GET: 'get', HEAD: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }
/** Subresources that are streams: POST and GET mean the same there. */
const streams: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward'])

/**
 * Reads a request's head strictly: in its one canonical form or not at all, so that what was decided is what the API server
 * understands.
 * @throws {RequestRefusedError}
 */
export function parseRequest(head: RequestHead): KubernetesRequest {
  const { method } = head
  const ofMethod = verbs[method]
  if (ofMethod === undefined) throw notAllowed('this method is not one of the API')
  if ((method === 'GET' || method === 'HEAD') && head.hasBody) throw badPath(`a ${method} request has a body`)
  const mark = head.path.indexOf('?')
  const path = mark < 0 ? head.path : head.path.slice(0, mark)
  const place = readPath(path)
  const query = readQuery(mark < 0 ? '' : head.path.slice(mark + 1))
  const upgrade = upgradeOf(head, place)
  if (place.kind !== 'resource') return otherRequest(head, path, query, place.kind)
  return resourceRequest(head, path, query, place, ofMethod, upgrade)
}

function otherRequest(head: RequestHead, path: string, query: QueryList, kind: 'discovery' | 'other'): DiscoveryRequest | RawRequest {
  const { method } = head
  if (kind === 'discovery' && method !== 'GET' && method !== 'HEAD') throw notAllowed('what the API server says of itself is only read')
  const checked = kind === 'discovery' ? checkQuery(query, 'discovery') : query
  return { kind, method, path, query: checked, target: path + queryText(checked), accept: negotiated(head.header('accept'), kind === 'discovery'), upgrade: undefined }
}

function resourceRequest(
  head: RequestHead, path: string, query: QueryList, place: Extract<Place, { kind: 'resource' }>, ofMethod: Verb, upgrade: Common['upgrade'],
): ResourceRequest {
  const { method } = head
  const { group, version, resource, subresource } = place
  const stream = subresource !== undefined && streams.has(subresource)
  const checked = subresource === 'proxy' ? query : checkQuery(query, queryKind(ofMethod, place.name, subresource))
  const watching = valueOf(checked, 'watch') === 'true'
  if (stream && method !== 'GET' && method !== 'POST') throw notAllowed(`${subresource} knows GET and POST only`)
  if (method === 'HEAD' && (stream || subresource === 'log')) throw notAllowed(`${subresource ?? ''} can't be asked for with HEAD`)
  let verb = ofMethod
  let { name } = place
  if (name === undefined) {
    if (verb === 'get') verb = watching ? 'watch' : 'list'
    else if (verb === 'delete') {
      verb = 'deletecollection'
      // The API server reads a collection's options from the body only: as a query they would be promised and not kept.
      refuseDeleteOptions(checked)
    }
    else if (verb !== 'create') throw notAllowed(`a ${method} request names no object`)
    if (verb !== 'create') name = selectedName(checked)
  } else if (watching) {
    throw badQuery('one object is watched with fieldSelector=metadata.name=…, not by its path')
  } else if (verb === 'create' && subresource === undefined) {
    throw notAllowed('an object is created in its collection, not by its name')
  }
  const namespace = place.namespace ?? (place.name !== undefined || isClusterScoped(group, resource) ? '-' : '*')
  return {
    kind: 'resource', method, path, query: checked, target: path + queryText(checked), verb, group, version, resource, namespace, name, subresource,
    accept: subresource === 'log' ? '*/*' : negotiated(head.header('accept'), false),
    upgrade,
  }
}

const deleteOptions = ['dryRun', 'gracePeriodSeconds', 'propagationPolicy', 'orphanDependents'] as const

/** @throws {RequestRefusedError} when options of a deletion stand in the query */
export function refuseDeleteOptions(query: QueryList): void {
  for (const name of deleteOptions) if (valueOf(query, name) !== undefined) throw badQuery(`the option ${name} of this deletion belongs into its body`)
}

function queryKind(verb: Verb, name: string | undefined, subresource: string | undefined): QueryKind {
  if (subresource === 'log' || subresource === 'exec' || subresource === 'attach' || subresource === 'portforward') return subresource
  switch (verb) {
    case 'get':
      return 'read'
    case 'delete':
      return name === undefined ? 'deletecollection' : 'delete'
    default:
      return 'write'
  }
}

/** `metadata.name=x` selects one object by its name, for the server's own authorisation, too. Any doubt: all of them. */
function selectedName(query: QueryList): string | undefined {
  const selector = valueOf(query, 'fieldSelector') ?? ''
  // An escaped comma is data to the API server (k8s.io/apimachinery, fields.splitTerms): what looks like a term may be none.
  if (selector.includes('\\')) return undefined
  const terms = selector.split(',').filter((term) => /^metadata\.name(==?)/.test(term))
  const name = terms.length === 1 ? /^metadata\.name==?([A-Za-z0-9][A-Za-z0-9._:-]{0,252})$/.exec(terms[0] ?? '')?.[1] : undefined
  return name
}

function upgradeOf({ upgrade }: RequestHead, place: Place): Common['upgrade'] {
  const stream = place.kind === 'resource' && place.subresource !== undefined && streams.has(place.subresource)
  if (upgrade === undefined) {
    if (!stream) return undefined
    throw new RequestRefusedError({ status: 400, rule: 'upgrade', message: `${place.subresource ?? ''} needs an Upgrade header`, hint: 'Use a client that speaks WebSocket (v5.channel.k8s.io) or SPDY/3.1, such as kubectl.' })
  }
  if (stream && (upgrade === 'websocket' || upgrade === 'spdy/3.1')) return upgrade
  throw new RequestRefusedError({ status: 400, rule: 'upgrade', message: 'nothing is upgraded here', hint: 'Only exec, attach and portforward of pods are upgraded, to websocket or SPDY/3.1.' })
}

function notAllowed(message: string): RequestRefusedError {
  return new RequestRefusedError({ status: 405, rule: 'method', message, hint: "See Kubernetes' API reference for the operations of this resource." })
}
