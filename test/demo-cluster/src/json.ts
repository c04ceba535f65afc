/** A JSON object of the API. */
export interface JsonObject {
  [key: string]: Json
}
export type Json = string | number | boolean | null | Json[] | JsonObject

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object at a key, made when there is none. */
export function child(object: JsonObject, key: string): JsonObject {
  const found = object[key]
  if (isObject(found)) return found
  const made: JsonObject = {}
  object[key] = made
  return made
}

export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inside, key) => (isObject(inside) ? inside[key] : undefined), value)
}

export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function numberAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path)
  return typeof found === 'number' ? found : undefined
}

export function listAt(value: Json | undefined, ...path: readonly string[]): Json[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}
