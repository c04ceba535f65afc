import { redacted } from '@sallyport/policy'
import { defaultMaskLimits, maxNesting } from './limits.js'
import { partialShape, sentinels, textSentinel } from './sentinel.js'

/** Paths that are named in a refusal; more are left out. */
const maxPaths = 20

/**
 * Where a request would write a mask back: paths of every value, and of every key, that holds what masking puts in place of
 * values, as text or base64 (also base64 of a text around it, JSON inside strings, patches of every type).
 *
 * A value masked by `partial` is recognised by its shape, which another value may have, too. One masked by `hash` can't be
 * recognised: it looks like any other text.
 * @param object a request's body, parsed; keys that occur twice must have been refused before
 * @returns JSON paths, 20 at most: `$.data.password`, `$[0].value`
 */
export function findMasked(object: unknown): string[] {
  const paths: string[] = []
  const visit = (value: unknown, path: string, depth: number): void => {
    if (paths.length >= maxPaths) return
    // Too deep to be looked into counts as masked, so the request is refused.
    if (depth > defaultMaskLimits.depth) return void paths.push(path)
    if (typeof value === 'string') {
      if (holdsMask(value, 0)) paths.push(path)
    } else if (Array.isArray(value)) value.forEach((item, index) => visit(item, `${path}[${index}]`, depth + 1))
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        const inner = /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
        if (sentinels.some((sentinel) => key.includes(sentinel))) paths.push(inner)
        else visit(item, inner, depth + 1)
      }
    }
  }
  visit(object, '$', 0)
  return paths
}

/** What the one whose request is refused is told; undefined when there is nothing to refuse. */
export function maskedMessage(paths: readonly string[]): string | undefined {
  if (paths.length === 0) return undefined
  const fields = paths.length === 1 ? 'a masked value' : 'masked values'
  return (
    `The request would write ${fields} back over what is stored: ${paths.join(', ')}${paths.length >= maxPaths ? ', …' : ''}. ` +
    'Sallyport showed them masked; leave these fields out of the manifest, or send a patch of the other fields only ' +
    '(kubectl patch --type merge), or set the fields to their new values.'
  )
}

function holdsMask(text: string, nesting: number): boolean {
  if (sentinels.some((sentinel) => text.includes(sentinel)) || partialShape.test(text)) return true
  if (nesting >= maxNesting) return false
  return holdsEncoded(text, nesting) || holdsMaskInJson(text, nesting)
}

/** JSON in a string may spell the sentinel with escapes. */
function holdsMaskInJson(text: string, nesting: number): boolean {
  if (!text.includes('\\') || !/^\s*["[{]/.test(text)) return false
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  const pending: unknown[] = [value]
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    if (typeof item === 'string' && holdsMask(item, nesting + 1)) return true
    if (typeof item === 'object' && item !== null)
      pending.push(...Object.keys(item), ...Object.values(item).filter((inner) => inner !== undefined))
  }
  return false
}

/** Base64 with or without line breaks, of either alphabet, of a text that holds a mask. */
function holdsEncoded(text: string, nesting: number): boolean {
  if (nesting > maxNesting) return false
  const compact = text.replace(/\s+/g, '')
  if (compact.length < 8 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(compact)) return sentinels.some((sentinel) => compact.includes(sentinel))
  if (sentinels.some((sentinel) => compact.includes(sentinel))) return true
  const decoded = Buffer.from(compact, 'base64').toString('utf8')
  return decoded.includes(textSentinel) || decoded.includes(redacted) || partialShape.test(decoded) || holdsEncoded(decoded, nesting + 1)
}
