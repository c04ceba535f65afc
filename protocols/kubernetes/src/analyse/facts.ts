import type { JsonObject, JsonValue } from '@sallyport/policy'
import type { RequestBody } from './body.js'

/** Of each list so many entries stand in the facts; of a longer one it is said that it can't be told. */
const maxListed = 50
const maxChanged = 200
/** Deeper than any body that is taken, with a JSON patch's pointer in front. */
const maxDepth = 256

/** Facts that values decide which a JSON patch takes from the live object. */
const factsOfValues = [
  'privileged', 'allow_privilege_escalation', 'host_network', 'host_pid', 'host_ipc', 'host_path', 'run_as_root', 'image', 'service_account', 'capabilities_added',
  'replicas', 'scaled_to_zero', 'secret_refs',
] as const

/**
 * What a body would do, as far as policies ask for it. Found wherever a pod's specification may stand. What can't be told
 * from the body stands in `uncertain`.
 */
export function factsOfBody(body: RequestBody): JsonObject {
  const found = new Finder()
  if (body.type === 'json-patch' && Array.isArray(body.value)) {
    for (const operation of body.value) if (isObject(operation)) found.visitOperation(operation)
  } else found.visit(body.value, [], 0)
  const kind = isObject(body.value) && typeof body.value['kind'] === 'string' ? { kind: body.value['kind'] } : {}
  const isPatch = body.type !== 'json' && body.type !== 'yaml' && body.type !== 'protobuf'
  const changed = isPatch ? changedPaths(body) : []
  if (changed.length > maxChanged || (isPatch && changesMoreThanItSays(body))) found.uncertain.add('changed')
  return {
    ...kind,
    ...found.facts(),
    ...(isPatch ? { changed: changed.slice(0, maxChanged) } : {}),
    ...(found.uncertain.size === 0 ? {} : { uncertain: [...found.uncertain] }),
  }
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

/** Below these stand texts by key: who takes one away takes nothing else along. */
const flatMaps = /^(?:metadata\.(?:labels|annotations)|data|binaryData|stringData)\../

/** Whether a patch may change fields that it doesn't name: it takes away or replaces what others stand in. */
function changesMoreThanItSays({ type, value }: RequestBody): boolean {
  if (type === 'json-patch') {
    const operations = Array.isArray(value) ? value.filter(isObject).filter(({ op }) => op !== 'test') : []
    return operations.some(({ op, path, value: set }) => {
      if (typeof path !== 'string' || flatMaps.test(pointerParts(path).join('.'))) return false
      return op === 'remove' || op === 'move' || op === 'copy' || (typeof set === 'object' && set !== null)
    })
  }
  return takesAway(value, [], 0)
}

function takesAway(value: JsonValue, path: readonly string[], depth: number): boolean {
  if (depth > maxDepth) return true
  if (value === null) return !flatMaps.test(path.join('.'))
  if (Array.isArray(value)) return value.some((entry) => isObject(entry) && takesAway(entry, path, depth + 1))
  if (!isObject(value)) return false
  // Directives of strategic merge patches; the order of elements alone changes nothing.
  return Object.entries(value).some(([key, inner]) => (key.startsWith('$') ? !key.startsWith('$setElementOrder/') : takesAway(inner, [...path, key], depth + 1)))
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
  /** Facts of which the body doesn't tell all. */
  readonly uncertain = new Set<string>()
  readonly #flags = new Map<string, JsonValue>()
  readonly #lists = new Map<string, Set<string>>()
  readonly #numbers = new Set<number>()

  facts(): JsonObject {
    const lists: [string, JsonValue][] = []
    for (const [name, values] of this.#lists) {
      if (values.size > maxListed) this.uncertain.add(name)
      const [only] = values
      lists.push([name, name === 'service_account' && values.size === 1 && only !== undefined ? only : [...values].slice(0, maxListed)])
    }
    const [only, ...more] = this.#numbers
    const replicas = only === undefined ? {} : { replicas: more.length === 0 ? only : [only, ...more].slice(0, maxListed) }
    return { ...Object.fromEntries(this.#flags), ...replicas, ...Object.fromEntries(lists) }
  }

  /** A JSON patch sets its value where the pointer leads; `copy` and `move` take it from where nobody has looked. */
  visitOperation({ op, path, value }: JsonObject): void {
    if (typeof path !== 'string') return
    if (op === 'copy' || op === 'move') {
      if (!/^\/metadata\/(labels|annotations)\/./.test(path)) for (const fact of factsOfValues) this.uncertain.add(fact)
      return
    }
    if (value === undefined) return
    let nested: JsonValue = value
    // An index names an element of a list; a map's key of digits holds nothing that is looked for here.
    for (const part of pointerParts(path).reverse()) nested = part === '-' || /^[-+]?[0-9]+$/.test(part) ? [nested] : { [part]: nested }
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
        if (typeof value === 'string') this.#list('image', value.slice(0, 512))
        return
      case 'serviceAccountName':
      case 'serviceAccount':
        if (typeof value === 'string' && value !== '') this.#list('service_account', value.slice(0, 253))
        return
      case 'add':
        if (path.at(-1) === 'capabilities' && Array.isArray(value)) for (const one of value) if (typeof one === 'string') this.#list('capabilities_added', one.slice(0, 64))
        return
      case 'replicas':
        if (typeof value === 'number' && path.at(-1) === 'spec') {
          this.#numbers.add(value)
          if (value === 0) this.#flags.set('scaled_to_zero', true)
        }
        return
      case 'parallelism':
        if (value === 0) this.#flags.set('scaled_to_zero', true)
        return
      case 'hostProcess':
        // Windows: a container that is a process of its node.
        if (value === true) this.#flags.set('privileged', true)
        return
      case 'local':
        if (isObject(value) && typeof value['path'] === 'string') this.#flags.set('host_path', true)
        return
      case 'imagePullSecrets':
        if (Array.isArray(value)) for (const one of value) if (isObject(one)) this.#secret(one['name'])
        return
      case 'secret':
        // A projected volume's source; an ordinary one says secretName.
        if (isObject(value)) this.#secret(value['name'])
        return
      case 'type':
        // A Secret of this type is filled with a token that never expires (Kubernetes: "Service account token Secrets").
        if ((value === 'kubernetes.io/service-account-token' || value === 'bootstrap.kubernetes.io/token') && path.length === 0) this.#flags.set('escalates', true)
        return
      case 'secretName':
        this.#secret(value)
        return
      case 'secretRef':
      case 'secretKeyRef':
        if (isObject(value)) this.#secret(value['name'])
        return
      default:
        // Drivers of volumes: nodePublishSecretRef, controllerExpandSecretRef …
        if (key.endsWith('SecretRef') && isObject(value)) this.#secret(value['name'])
    }
  }

  #secret(name: JsonValue | undefined): void {
    if (typeof name === 'string') this.#list('secret_refs', name.slice(0, 253))
  }

  #list(name: string, value: string): void {
    const values = this.#lists.get(name)
    if (values === undefined) this.#lists.set(name, new Set([value]))
    else values.add(value)
  }
}

const flagNames = { privileged: 'privileged', allowPrivilegeEscalation: 'allow_privilege_escalation', hostNetwork: 'host_network', hostPID: 'host_pid', hostIPC: 'host_ipc' } as const

function pointerParts(pointer: string): string[] {
  return pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
