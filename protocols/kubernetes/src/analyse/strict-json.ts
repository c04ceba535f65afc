import type { JsonValue } from '@sallyport/policy'
import { badBody } from './refused.js'

const maxDepth = 128

/**
 * JSON (RFC 8259) of which no two readers can have different opinions: valid UTF-8, one value, no key twice in an object.
 * @throws {RequestRefusedError}
 */
export function parseStrictJson(bytes: Uint8Array): JsonValue {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw badBody('the body is not UTF-8')
  }
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch {
    throw badBody('the body is not JSON')
  }
  refuseRepeatedKeys(text)
  return value
}

/** Valid JSON is walked once for keys: JSON.parse silently keeps the last of two. */
function refuseRepeatedKeys(text: string): void {
  const open: (Set<string> | undefined)[] = []
  let index = 0
  /** A string where a key may stand: right behind `{`, or behind `,` in an object. */
  let keyNext = false
  while (index < text.length) {
    switch (text.charCodeAt(index)) {
      case 0x22: {
        const end = endOfString(text, index)
        const keys = open[open.length - 1]
        if (keyNext && keys !== undefined) {
          const key: string = JSON.parse(text.slice(index, end))
          if (keys.has(key)) throw badBody(`the key ${JSON.stringify(key.slice(0, 80))} stands twice in one object`)
          keys.add(key)
          keyNext = false
        }
        index = end
        continue
      }
      case 0x7b:
        open.push(new Set())
        keyNext = true
        break
      case 0x5b:
        open.push(undefined)
        keyNext = false
        break
      case 0x7d:
      case 0x5d:
        open.pop()
        keyNext = false
        break
      case 0x2c:
        keyNext = open[open.length - 1] !== undefined
        break
    }
    if (open.length > maxDepth) throw badBody(`the body is nested deeper than ${maxDepth} levels`)
    index += 1
  }
}

function endOfString(text: string, start: number): number {
  let index = start + 1
  for (;;) {
    const quote = text.indexOf('"', index)
    let slashes = 0
    for (let back = quote - 1; back > start && text.charCodeAt(back) === 0x5c; back--) slashes += 1
    if (slashes % 2 === 0) return quote + 1
    index = quote + 1
  }
}
