import type { JsonObject, JsonValue } from '@sallyport/policy'
import type { RequestBody } from './body.js'

const maxImages = 50
const maxChanged = 200
const maxDepth = 64

/** What a body would do, as far as policies ask for it. Found wherever a pod's specification may stand. */
export function factsOfBody(body: RequestBody): JsonObject {
  const found = new Finder()
  if (body.type === 'json-patch' && Array.isArray(body.value)) {
    for (const operation of body.value) if (isObject(operation)) found.visitOperation(operation)
  } else found.visit(body.value, [], 0)
  const kind = isObject(body.value) && typeof body.value['kind'] === 'string' ? { kind: body.value['kind'] } : {}
  const changed = body.type === 'json' || body.type === 'yaml' || body.type === 'protobuf' ? {} : { changed: changedPaths(body).slice(0, maxChanged) }
  return { ...kind, ...found.facts, ...changed }
}

/** The fields that a patch touches, dotted: `spec.replicas`. */
function changedPaths({ type, value }: RequestBody): string[] {
  if (type === 'json-patch') {
    const operations = Array.isArray(value) ? value.filter(isObject).filter(({ op }) => op !== 'test') : []
    const pointers = operations.flatMap(({ path, from }) => [path, from]).filter((pointer): pointer is string => typeof pointer === 'string')
    return [...new Set(pointers.map((pointer) => pointerParts(pointer).join('.')))]
  }
  const paths: string[] = []
  leaves(value, [], paths, 0)
  return paths.filter((path) => type !== 'apply-patch' || !/^(apiVersion|kind|metadata\.(name|namespace))$/.test(path))
}

function leaves(value: JsonValue, path: readonly string[], found: string[], depth: number): void {
  if (found.length > maxChanged) return
  if (!isObject(value) || depth > maxDepth || Object.keys(value).length === 0) {
    found.push(path.join('.'))
    return
  }
  for (const [key, inner] of Object.entries(value)) leaves(inner, [...path, key], found, depth + 1)
}

class Finder {
  readonly #flags = new Map<string, JsonValue>()
  readonly #images = new Set<string>()
  readonly #capabilities = new Set<string>()
  readonly #secrets = new Set<string>()

  get facts(): JsonObject {
    return {
      ...Object.fromEntries(this.#flags),
      ...(this.#images.size === 0 ? {} : { image: [...this.#images].slice(0, maxImages) }),
      ...(this.#capabilities.size === 0 ? {} : { capabilities_added: [...this.#capabilities].slice(0, maxImages) }),
      ...(this.#secrets.size === 0 ? {} : { secret_refs: [...this.#secrets].slice(0, maxImages) }),
    }
  }

  /** A JSON patch sets its value where the pointer leads. */
  visitOperation({ path, value }: JsonObject): void {
    if (typeof path !== 'string' || value === undefined) return
    const parts = pointerParts(path)
    let nested: JsonValue = value
    for (const part of [...parts].reverse()) nested = { [part]: nested }
    this.visit(nested, [], 0)
  }

  visit(value: JsonValue, path: readonly string[], depth: number): void {
    if (depth > maxDepth) return
    if (Array.isArray(value)) {
      for (const entry of value) this.visit(entry, path, depth + 1)
      return
    }
    if (!isObject(value)) return
    for (const [key, inner] of Object.entries(value)) {
      this.#look(key, inner, path)
      this.visit(inner, [...path, key], depth + 1)
    }
  }

  #look(key: string, value: JsonValue, path: readonly string[]): void {
    switch (key) {
      case 'privileged':
      case 'allowPrivilegeEscalation':
      case 'hostNetwork':
      case 'hostPID':
      case 'hostIPC':
        if (value === true) this.#flags.set(flagNames[key], true)
        return
      case 'hostPath':
        if (isObject(value) || typeof value === 'string') this.#flags.set('host_path', true)
        return
      case 'runAsUser':
        if (value === 0) this.#flags.set('run_as_root', true)
        return
      case 'image':
        if (typeof value === 'string') this.#images.add(value.slice(0, 512))
        return
      case 'serviceAccountName':
      case 'serviceAccount':
        if (typeof value === 'string' && value !== '') this.#flags.set('service_account', value.slice(0, 253))
        return
      case 'add':
        if (path.at(-1) === 'capabilities' && Array.isArray(value)) for (const one of value) if (typeof one === 'string') this.#capabilities.add(one.slice(0, 64))
        return
      case 'replicas':
        if (typeof value === 'number' && path.at(-1) === 'spec') {
          this.#flags.set('replicas', value)
          if (value === 0) this.#flags.set('scaled_to_zero', true)
        }
        return
      case 'secretName':
        if (typeof value === 'string') this.#secrets.add(value.slice(0, 253))
        return
      case 'secretRef':
      case 'secretKeyRef':
        if (isObject(value) && typeof value['name'] === 'string') this.#secrets.add(value['name'].slice(0, 253))
        return
    }
  }
}

const flagNames = { privileged: 'privileged', allowPrivilegeEscalation: 'allow_privilege_escalation', hostNetwork: 'host_network', hostPID: 'host_pid', hostIPC: 'host_ipc' } as const

function pointerParts(pointer: string): string[] {
  return pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
