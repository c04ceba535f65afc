import type { JsonValue } from '@sallyport/policy'
import { isMap, isScalar, parseDocument, visit } from 'yaml'
import { badBody } from './refused.js'
import { parseStrictJson } from './strict-json.js'

/** YAML takes far longer to read than JSON, and nobody writes as much by hand; `kubectl apply` sends JSON by this type, too. */
const maxBytes = 256 * 1024
const maxDepth = 64

/**
 * A body of which no two readers of YAML can have different opinions: one document, no key twice, no aliases, no tags but
 * the core schema's, nothing that JSON doesn't have. JSON is YAML.
 * @throws {RequestRefusedError}
 */
export function parseStrictYaml(bytes: Buffer): JsonValue {
  if (bytes[0] === 0x7b) return parseStrictJson(bytes)
  if (bytes.length > maxBytes) throw badBody(`YAML of more than ${maxBytes} bytes is not taken; send JSON`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badBody('the body is not UTF-8')
  }
  refuseDeepNesting(text)
  let json: string | undefined
  try {
    // The library compares each key with all before it; here they are looked up.
    const document = parseDocument(text, { uniqueKeys: false, strict: true, version: '1.2', schema: 'core', merge: false, stringKeys: true })
    const proper = document.errors.length === 0 && document.warnings.length === 0 && !hasKeyTwice(document)
    const value: JsonValue = proper ? document.toJS({ maxAliasCount: 0 }) : null
    json = proper && isFinite(value) ? JSON.stringify(value) : undefined
  } catch {
    throw badBody('the body has YAML aliases, or is nested too deeply')
  }
  if (json === undefined) throw badBody('the body is not YAML that can be read in one way only')
  return parseStrictJson(Buffer.from(json))
}

/** Before it is parsed: brackets and compact lists (`- - -`) can nest by a level with each character. */
function refuseDeepNesting(text: string): void {
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x5b || code === 0x7b) depth += 1
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1
    if (depth > maxDepth) throw tooDeep()
  }
  if (/(?:[-?:] {1,8}){64}/.test(text)) throw tooDeep()
}

const tooDeep = (): Error => badBody(`the body is nested deeper than ${maxDepth} levels, or holds as many brackets that are not closed; send JSON`)

function hasKeyTwice(document: ReturnType<typeof parseDocument>): boolean {
  let twice = false
  visit(document, {
    Map: (_key, node) => {
      if (!isMap(node)) return undefined
      const keys = new Set<string>()
      for (const { key } of node.items) {
        const name = isScalar(key) ? String(key.value) : String(key)
        if (keys.has(name)) twice = true
        keys.add(name)
      }
      return twice ? visit.BREAK : undefined
    },
  })
  return twice
}

function isFinite(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value !== 'object' || value === null || Object.values(value).every(isFinite)
}
