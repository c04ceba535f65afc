import { isObject, type Json, type JsonObject } from './json.js'
import { badRequest } from './status.js'

/** Lists that a strategic merge patch merges by a key (Kubernetes: "Strategic merge patch"). */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name', initContainers: 'name', ephemeralContainers: 'name', env: 'name', volumes: 'name', volumeMounts: 'mountPath', ports: 'containerPort', imagePullSecrets: 'name', conditions: 'type', ownerReferences: 'uid', tolerations: 'key',
}

export function applyPatch(live: JsonObject, patch: Json, type: string): JsonObject {
  const result =
    type === 'application/json-patch+json' ? jsonPatch(structuredClone(live), patch) : merge(structuredClone(live), patch, type !== 'application/merge-patch+json', '')
  if (!isObject(result)) throw badRequest('the patch does not leave an object')
  return result
}

function merge(target: Json | undefined, patch: Json, strategic: boolean, key: string): Json {
  if (strategic && Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, key)
  if (!isObject(patch)) return patch
  if (strategic && patch['$patch'] === 'replace') return without(patch, '$patch')
  const result: JsonObject = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (strategic && (name.startsWith('$setElementOrder/') || name === '$retainKeys' || name === '$patch')) continue
    if (strategic && name.startsWith('$deleteFromPrimitiveList/')) {
      const list = name.slice('$deleteFromPrimitiveList/'.length)
      const gone = Array.isArray(value) ? value : []
      const before = result[list]
      if (Array.isArray(before)) result[list] = before.filter((entry) => !gone.includes(entry))
    } else if (value === null) delete result[name]
    else result[name] = merge(result[name], value, strategic, name)
  }
  return result
}

function mergeList(target: Json[], patch: Json[], key: string): Json[] {
  const mergeKey = mergeKeys[key]
  const byPort = key === 'ports' && patch.some((entry) => isObject(entry) && 'port' in entry) ? 'port' : mergeKey
  if (byPort === undefined || !patch.every(isObject)) return patch
  const result = [...target]
  for (const entry of patch) {
    if (!isObject(entry)) continue
    const index = result.findIndex((other) => isObject(other) && other[byPort] === entry[byPort])
    if (entry['$patch'] === 'delete') {
      if (index >= 0) result.splice(index, 1)
    } else if (index < 0) result.push(entry)
    else result[index] = merge(result[index], entry, true, '')
  }
  return result
}

function without(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
}

function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest('a JSON patch is a list')
  const holder: JsonObject = { root: target }
  for (const operation of operations) {
    if (!isObject(operation) || typeof operation['path'] !== 'string') throw badRequest('an operation has no path')
    const path = pointer(operation['path'])
    switch (operation['op']) {
      case 'add':
      case 'replace':
        set(holder, path, operation['value'] ?? null, operation['op'] === 'add')
        break
      case 'remove':
        remove(holder, path)
        break
      case 'test':
        if (JSON.stringify(get(holder, path)) !== JSON.stringify(operation['value'])) throw badRequest('the test of a JSON patch failed')
        break
      case 'copy':
      case 'move': {
        const from = pointer(typeof operation['from'] === 'string' ? operation['from'] : '')
        const value = structuredClone(get(holder, from) ?? null)
        if (operation['op'] === 'move') remove(holder, from)
        set(holder, path, value, true)
        break
      }
      default:
        throw badRequest('unknown operation of a JSON patch')
    }
  }
  return holder['root'] ?? null
}

function pointer(text: string): string[] {
  const parts = text.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  // These lead out of the object, to what all objects share.
  if (parts.some((part) => part === '__proto__' || part === 'constructor' || part === 'prototype')) throw badRequest('a JSON patch leads nowhere')
  return ['root', ...parts]
}

function get(value: Json | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inside, part) => (Array.isArray(inside) ? inside[Number(part)] : isObject(inside) ? inside[part] : undefined), value)
}

function set(holder: JsonObject, path: readonly string[], value: Json, insert: boolean): void {
  const last = path.at(-1) ?? ''
  const parent = get(holder, path.slice(0, -1))
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last)
    parent.splice(index, insert ? 0 : 1, value)
  } else if (isObject(parent)) parent[last] = value
  else throw badRequest('a JSON patch leads nowhere')
}

function remove(holder: JsonObject, path: readonly string[]): void {
  const last = path.at(-1) ?? ''
  const parent = get(holder, path.slice(0, -1))
  if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else if (isObject(parent)) delete parent[last]
}
