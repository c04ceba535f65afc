/** Reading of JSON answers: a missing or odd field is shown as empty, never a crash of the CLI. */
export type Fields = Readonly<Record<string, unknown>>

export function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

export function asList(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(asFields) : []
}

export function asTexts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(asText) : []
}

/** Scalars as they read; nothing for null and undefined; JSON for the rest. */
export function asText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return JSON.stringify(value)
}

/** The text at a dotted path: `text(item, 'identity.name')`. */
export function text(fields: Fields, path: string): string {
  return asText(path.split('.').reduce<unknown>((value, key) => asFields(value)[key], fields))
}
