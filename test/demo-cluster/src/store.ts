import { randomBytes, randomUUID } from 'node:crypto'
import { at, child, isObject, listAt, numberAt, textAt, type Json, type JsonObject } from './json.js'
import { apiVersionOf, kinds, qualified, type Kind } from './kinds.js'
import { selected } from './selectors.js'
import { ApiError, badRequest, notFound } from './status.js'

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

export interface Change {
  readonly type: ChangeType
  readonly kind: Kind
  readonly object: JsonObject
  readonly version: number
}

export type Listener = (change: Change) => void

const podKind = kindNamed('pods')
const replicaSetKind = kindNamed('replicasets')
const maxHistory = 5000

/** The cluster's objects, and as much of its controllers as clients wait for. */
export class Store {
  readonly #objects = new Map<string, JsonObject>()
  readonly #listeners = new Set<Listener>()
  readonly #history: Change[] = []
  #version = 1000

  get version(): number {
    return this.#version
  }

  get(kind: Kind, namespace: string, name: string): JsonObject {
    const found = this.#objects.get(keyOf(kind, namespace, name))
    if (found === undefined) throw notFound(`${qualified(kind)} "${name}"`)
    return found
  }

  list(kind: Kind, namespace: string, labels = '', fields = ''): JsonObject[] {
    const prefix = `${qualified(kind)}/`
    return [...this.#objects]
      .filter(([key, object]) => key.startsWith(prefix) && (namespace === '' || textAt(object, 'metadata', 'namespace') === namespace) && selected(object, labels, fields))
      .map(([, object]) => object)
      .sort((a, b) => (textAt(a, 'metadata', 'name') < textAt(b, 'metadata', 'name') ? -1 : 1))
  }

  create(kind: Kind, namespace: string, given: JsonObject, dryRun: boolean): JsonObject {
    const object = structuredClone(given)
    const metadata = child(object, 'metadata')
    if (typeof metadata['name'] !== 'string' || metadata['name'] === '') {
      const prefix = textAt(metadata, 'generateName')
      if (prefix === '') throw new ApiError(422, 'Invalid', `${kind.kind} "" is invalid: metadata.name: Required value: name or generateName is required`)
      metadata['name'] = prefix + suffix()
    }
    const name = String(metadata['name'])
    if (kind.namespaced) {
      metadata['namespace'] = namespace
      this.get(kindNamed('namespaces'), '', namespace)
    }
    if (this.#objects.has(keyOf(kind, namespace, name))) throw new ApiError(409, 'AlreadyExists', `${qualified(kind)} "${name}" already exists`)
    object['kind'] = kind.kind
    object['apiVersion'] = apiVersionOf(kind)
    metadata['uid'] = randomUUID()
    metadata['creationTimestamp'] = now()
    if (isObject(object['spec'])) metadata['generation'] = 1
    this.#admit(kind, object)
    return this.#store('ADDED', kind, object, dryRun)
  }

  update(kind: Kind, namespace: string, name: string, next: JsonObject, dryRun: boolean): JsonObject {
    const live = this.get(kind, namespace, name)
    const wanted = textAt(next, 'metadata', 'resourceVersion')
    if (wanted !== '' && wanted !== textAt(live, 'metadata', 'resourceVersion')) {
      throw new ApiError(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(kind)} "${name}": the object has been modified; please apply your changes to the latest version and try again`)
    }
    const object = structuredClone(next)
    const metadata = child(object, 'metadata')
    const kept = child(live, 'metadata')
    for (const field of ['uid', 'creationTimestamp', 'name', 'namespace', 'generation'] as const) if (kept[field] !== undefined) metadata[field] = kept[field]
    object['kind'] = kind.kind
    object['apiVersion'] = apiVersionOf(kind)
    this.#admit(kind, object)
    if (JSON.stringify(object['spec']) !== JSON.stringify(live['spec'])) metadata['generation'] = (numberAt(live, 'metadata', 'generation') ?? 0) + 1
    metadata['resourceVersion'] = kept['resourceVersion'] ?? ''
    if (JSON.stringify(object) === JSON.stringify(live)) return live
    return this.#store('MODIFIED', kind, object, dryRun)
  }

  delete(kind: Kind, namespace: string, name: string, dryRun: boolean): JsonObject {
    const object = this.get(kind, namespace, name)
    if (dryRun) return object
    this.#objects.delete(keyOf(kind, namespace, name))
    this.#announce('DELETED', kind, { ...object, metadata: { ...child(object, 'metadata'), resourceVersion: String(++this.#version) } })
    const uid = textAt(object, 'metadata', 'uid')
    for (const other of kinds) {
      for (const dependent of this.list(other, kind.resource === 'namespaces' && kind.group === '' ? name : namespace)) {
        const isOwned = listAt(dependent, 'metadata', 'ownerReferences').some((owner) => textAt(owner, 'uid') === uid)
        const goes = isOwned || (kind.resource === 'namespaces' && kind.group === '' && textAt(dependent, 'metadata', 'namespace') === name)
        if (goes && this.#objects.has(keyOf(other, textAt(dependent, 'metadata', 'namespace'), textAt(dependent, 'metadata', 'name')))) {
          this.delete(other, textAt(dependent, 'metadata', 'namespace'), textAt(dependent, 'metadata', 'name'), false)
        }
      }
    }
    this.#replace(object)
    return object
  }

  /** Changes from a version on, then as they happen. Returns what ends it. Throws 410 when the version is too old. */
  watch(from: number, listener: Listener): () => void {
    const oldest = this.#history[0]?.version ?? 0
    if (from > 0 && this.#history.length >= maxHistory && from < oldest) throw new ApiError(410, 'Expired', 'too old resource version')
    for (const change of this.#history) if (change.version > from) listener(change)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #store(type: ChangeType, kind: Kind, object: JsonObject, dryRun: boolean): JsonObject {
    const metadata = child(object, 'metadata')
    if (dryRun) return object
    metadata['resourceVersion'] = String(++this.#version)
    this.#objects.set(keyOf(kind, textAt(metadata, 'namespace'), textAt(metadata, 'name')), object)
    this.#announce(type, kind, structuredClone(object))
    if (kind.resource === 'deployments' || kind.resource === 'statefulsets' || kind.resource === 'replicasets' || kind.resource === 'jobs') this.#reconcile(kind, object)
    return object
  }

  #announce(type: ChangeType, kind: Kind, object: JsonObject): void {
    const change = { type, kind, object, version: Number(textAt(object, 'metadata', 'resourceVersion')) }
    this.#history.push(change)
    if (this.#history.length > maxHistory) this.#history.shift()
    for (const listener of this.#listeners) listener(change)
  }

  /** What the server itself does to an object before it is stored. */
  #admit(kind: Kind, object: JsonObject): void {
    if (kind.resource === 'secrets') {
      const data = child(object, 'data')
      const given = object['stringData']
      if (isObject(given)) for (const [key, value] of Object.entries(given)) data[key] = Buffer.from(typeof value === 'string' ? value : '').toString('base64')
      delete object['stringData']
      for (const [key, value] of Object.entries(data)) {
        if (typeof value !== 'string' || Buffer.from(value, 'base64').toString('base64') !== value) throw badRequest(`Secret in version "v1" cannot be handled as a Secret: illegal base64 data in ${key}`)
      }
      object['type'] ??= 'Opaque'
    }
    if (kind.resource === 'namespaces') object['status'] = { phase: 'Active' }
    if (kind.resource === 'pods') {
      const spec = child(object, 'spec')
      spec['nodeName'] ??= 'node-1'
      const containers = listAt(spec, 'containers')
      object['status'] = {
        phase: 'Running', podIP: '10.0.0.7', hostIP: '10.0.0.1', startTime: textAt(object, 'metadata', 'creationTimestamp') || now(),
        conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({ type, status: 'True' })),
        containerStatuses: containers.map((container) => ({ name: textAt(container, 'name'), image: textAt(container, 'image'), imageID: '', ready: true, started: true, restartCount: 0, state: { running: { startedAt: now() } } })),
      }
    }
    if (kind.resource === 'services') {
      const spec = child(object, 'spec')
      spec['clusterIP'] ??= '10.96.0.7'
      spec['type'] ??= 'ClusterIP'
    }
  }

  /** A workload gets its pods at once. */
  #reconcile(kind: Kind, object: JsonObject): void {
    const namespace = textAt(object, 'metadata', 'namespace')
    const name = textAt(object, 'metadata', 'name')
    const replicas = kind.resource === 'jobs' ? 1 : (numberAt(object, 'spec', 'replicas') ?? 1)
    const template = at(object, 'spec', 'template')
    if (kind.resource === 'deployments') this.#rollOut(object, namespace, name, replicas, template)
    else {
      const owned = this.#ownedBy(podKind, namespace, object)
      for (const pod of owned.slice(replicas)) this.delete(podKind, namespace, textAt(pod, 'metadata', 'name'), false)
      for (let index = owned.length; index < replicas; index++) {
        this.create(podKind, namespace, podOf(template, object, kind, kind.resource === 'statefulsets' ? `${name}-${index}` : `${name}-${suffix()}`), false)
      }
    }
    const generation = numberAt(object, 'metadata', 'generation') ?? 1
    const counts = { replicas, readyReplicas: replicas, availableReplicas: replicas, updatedReplicas: replicas, observedGeneration: generation }
    const status: JsonObject = kind.resource === 'jobs' ? { active: 1 } : { ...counts, conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }, { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' }] }
    if (JSON.stringify(object['status']) === JSON.stringify(status)) return
    object['status'] = status
    child(object, 'metadata')['resourceVersion'] = String(++this.#version)
    this.#announce('MODIFIED', kind, structuredClone(object))
  }

  #rollOut(deployment: JsonObject, namespace: string, name: string, replicas: number, template: Json | undefined): void {
    const sets = this.#ownedBy(replicaSetKind, namespace, deployment)
    const current = sets.find((set) => JSON.stringify(at(set, 'spec', 'template', 'spec')) === JSON.stringify(at(template, 'spec')) && JSON.stringify(at(set, 'spec', 'template', 'metadata', 'annotations')) === JSON.stringify(at(template, 'metadata', 'annotations')))
    for (const set of sets) if (set !== current) this.delete(replicaSetKind, namespace, textAt(set, 'metadata', 'name'), false)
    if (current === undefined) {
      const metadata: JsonObject = { name: `${name}-${suffix()}`, labels: at(template, 'metadata', 'labels') ?? {}, ownerReferences: [ownerOf(deployment, 'Deployment', 'apps/v1')] }
      this.create(replicaSetKind, namespace, { metadata, spec: { replicas, selector: at(deployment, 'spec', 'selector') ?? {}, template: template ?? {} } }, false)
    } else if (numberAt(current, 'spec', 'replicas') !== replicas) {
      const next = structuredClone(current)
      child(next, 'spec')['replicas'] = replicas
      this.update(replicaSetKind, namespace, textAt(current, 'metadata', 'name'), next, false)
    }
  }

  /** A pod that is gone comes again as long as something wants it. */
  #replace(gone: JsonObject): void {
    const owner = listAt(gone, 'metadata', 'ownerReferences')[0]
    const kind = kinds.find((one) => one.kind === textAt(owner, 'kind'))
    if (kind === undefined) return
    const found = this.#objects.get(keyOf(kind, textAt(gone, 'metadata', 'namespace'), textAt(owner, 'name')))
    if (found !== undefined && textAt(found, 'metadata', 'uid') === textAt(owner, 'uid')) this.#reconcile(kind, found)
  }

  #ownedBy(kind: Kind, namespace: string, owner: JsonObject): JsonObject[] {
    const uid = textAt(owner, 'metadata', 'uid')
    return this.list(kind, namespace).filter((object) => listAt(object, 'metadata', 'ownerReferences').some((reference) => textAt(reference, 'uid') === uid))
  }
}

function podOf(template: Json | undefined, owner: JsonObject, kind: Kind, name: string): JsonObject {
  return {
    metadata: { name, labels: at(template, 'metadata', 'labels') ?? {}, annotations: at(template, 'metadata', 'annotations') ?? {}, ownerReferences: [ownerOf(owner, kind.kind, apiVersionOf(kind))] },
    spec: structuredClone(at(template, 'spec') ?? {}),
  }
}

function ownerOf(object: JsonObject, kind: string, apiVersion: string): JsonObject {
  return { apiVersion, kind, name: textAt(object, 'metadata', 'name'), uid: textAt(object, 'metadata', 'uid'), controller: true, blockOwnerDeletion: true }
}

export function kindNamed(resource: string): Kind {
  const found = kinds.find((one) => one.resource === resource)
  if (found === undefined) throw new Error(`no kind ${resource}`)
  return found
}

function keyOf(kind: Kind, namespace: string, name: string): string {
  return `${qualified(kind)}/${kind.namespaced ? namespace : ''}/${name}`
}

function suffix(): string {
  return randomBytes(5).toString('hex').slice(0, 5)
}

/** As the API writes times: whole seconds. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
