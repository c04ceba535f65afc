import { Glob } from './glob.js'

/** A resource pattern that can't mean anything: unbalanced quotes, an empty segment. */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}

/**
 * How far a pattern covers a resource. `loose`: only because a sensitive namespace was met by a wildcard, or because the
 * resource stands for many and the pattern covers some of them.
 */
export type ResourceReach = 'strict' | 'loose' | undefined

interface Segment {
  readonly text: string
  /** Written in double quotes: `*` inside is a plain character. */
  readonly quoted: boolean
}

/** A resource's canonical name taken apart: `function public."we.ird"` → kind `function`, segments `public`, `we.ird`. */
interface ResourceName {
  readonly kind: string
  readonly segments: readonly Segment[]
}

/**
 * A compiled resource pattern.
 *
 * - Segments are separated by dots; each is a glob (`public.order_*`). Double quotes make a segment literal.
 * - A last segment `*` covers one or more segments (`public.*` covers `public.orders` and all below it).
 * - With a slash outside quotes the pattern is a path: segments are separated by slashes, and dots are ordinary.
 * - A kind stands before the name with a space (`function public.f`); without a kind, only resources without one are meant.
 * - `*` alone covers every resource of every kind.
 * - Case-sensitive, as the target's canonical names are.
 *
 * A pattern whose first segment is a wildcard reaches a sensitive resource only loosely: that is enough for a
 * restriction (deny), never for a permission. So `*` doesn't open what a protocol marks as revealing.
 *
 * A bare `*` as a segment of a resource stands for many or unknown names (the list of all pods: `pods/shop/*`). A pattern
 * that names some of them (`pods/shop/api-*`) reaches it loosely, too.
 */
export class ResourcePattern {
  readonly #kind: string
  readonly #globs: readonly Glob[]
  readonly #path: boolean
  readonly #universal: boolean
  readonly #namesFirst: boolean

  /** @throws {PatternError} */
  constructor(readonly text: string) {
    if (text.trim() === '') throw new PatternError('a pattern must not be empty')
    this.#path = hasSlash(text)
    const name = splitName(text, this.#path ? '/' : '.', true)
    this.#kind = name.kind
    // The empty segment before a leading slash is part of an absolute path.
    name.segments.forEach((segment, index) => {
      if (segment.text === '' && !segment.quoted && !(this.#path && index === 0))
        throw new PatternError(`the pattern ${text} has an empty segment`)
    })
    this.#globs = name.segments.map((segment) => new Glob(segment.text, segment.quoted))
    this.#universal = text === '*'
    this.#namesFirst = this.#globs[0]?.literal === true
  }

  /** Number of segments. */
  get length(): number {
    return this.#globs.length
  }

  reach(resource: string, sensitive: boolean): ResourceReach {
    if (this.#covers(resource)) return sensitive && !this.#namesFirst ? 'loose' : 'strict'
    return this.#coversSome(resource) ? 'loose' : undefined
  }

  /**
   * For masks: whether the pattern may cover a column that isn't known exactly. A bare `*` in the source stands for some
   * unknown name (`public.customers.*`: some column of that table). Doubt counts as covered.
   */
  mayCover(source: string): boolean {
    if (this.#universal) return true
    const name = splitName(source, this.#path ? '/' : '.', false)
    const unknown = (segment: Segment): boolean => segment.text === '*' && !segment.quoted
    if (!name.segments.some(unknown)) return this.#covers(source)
    if (name.kind !== this.#kind) return false
    return name.segments.every(
      (segment, index) => unknown(segment) || this.#tailFrom(index) || this.#globs[index]?.test(segment.text) === true,
    )
  }

  /** Whether a resource that stands for many has some that the pattern covers. */
  #coversSome(resource: string): boolean {
    if (!resource.includes('*')) return false
    const { kind, segments } = splitName(resource, this.#path ? '/' : '.', false)
    const open = this.#globs[this.#globs.length - 1]?.any === true
    if (kind !== this.#kind || (open ? segments.length < this.#globs.length : segments.length !== this.#globs.length)) return false
    return segments.every((segment, index) => (segment.text === '*' && !segment.quoted) || this.#tailFrom(index) || this.#globs[index]?.test(segment.text) === true)
  }

  #covers(resource: string): boolean {
    if (this.#universal) return true
    const name = splitName(resource, this.#path ? '/' : '.', false)
    if (name.kind !== this.#kind) return false
    const { segments } = name
    const globs = this.#globs
    const open = globs[globs.length - 1]?.any === true
    if (open ? segments.length < globs.length : segments.length !== globs.length) return false
    for (let index = 0; index < globs.length; index++) {
      if (open && index === globs.length - 1) return true
      if (!globs[index]?.test(segments[index]?.text ?? '')) return false
    }
    return true
  }

  /** True where the pattern's open tail (`*` at the end) covers this and every later segment. */
  #tailFrom(index: number): boolean {
    const last = this.#globs.length - 1
    return index >= last && this.#globs[last]?.any === true
  }
}

/**
 * Whether one resource pattern permits one resource. See {@link ResourcePattern}; compile that once for repeated use.
 * @param sensitive the effect's `details.sensitive`
 * @throws {PatternError}
 */
export function matchResource(pattern: string, resource: string, sensitive = false): boolean {
  return new ResourcePattern(pattern).reach(resource, sensitive) === 'strict'
}

/** One segment of a canonical name, quoted when it holds anything that a pattern could misread. */
export function quoteSegment(segment: string): string {
  return /^[^\s."*/]+$/.test(segment) ? segment : `"${segment.replaceAll('"', '""')}"`
}

/** The canonical name of a resource, for protocols: `formatResource(['public', 'we.ird'], 'function')`. */
export function formatResource(segments: readonly string[], kind = ''): string {
  const name = segments.map(quoteSegment).join('.')
  return kind === '' ? name : `${kind} ${name}`
}

/** Segments of a canonical dotted name, quotes taken off. Never throws: an open quote runs to the end. */
export function splitResource(resource: string): readonly string[] {
  return splitName(resource, '.', false).segments.map((segment) => segment.text)
}

function hasSlash(text: string): boolean {
  let quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    else if (character === '/' && !quoted) return true
  }
  return false
}

/** Length of the leading kind: words of small letters, each followed by one space. */
function kindLength(text: string): number {
  let end = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if ((code >= 97 && code <= 122) || code === 95) continue
    if (code !== 32 || index === end) break
    end = index + 1
  }
  return end
}

function splitName(text: string, separator: string, strict: boolean): ResourceName {
  const start = kindLength(text)
  const segments: Segment[] = []
  let current = ''
  let quoted = false
  let index = start
  while (index < text.length) {
    const character = text.charAt(index)
    if (character === '"') {
      let end = text.indexOf('"', index + 1)
      while (end >= 0 && text.charAt(end + 1) === '"') end = text.indexOf('"', end + 2)
      if (end < 0) {
        if (strict) throw new PatternError(`the pattern ${text} has an unbalanced double quote`)
        end = text.length
      }
      if (strict && (current !== '' || quoted)) throw new PatternError(`the pattern ${text} has text beside a quoted segment`)
      current += text.slice(index + 1, end).replaceAll('""', '"')
      quoted = true
      index = end + 1
    } else if (character === separator) {
      segments.push({ text: current, quoted })
      current = ''
      quoted = false
      index++
    } else {
      if (strict && quoted) throw new PatternError(`the pattern ${text} has text beside a quoted segment`)
      current += character
      index++
    }
  }
  segments.push({ text: current, quoted })
  return { kind: start === 0 ? '' : text.slice(0, start - 1), segments }
}

/**
 * Canonical form of a path or a program's name: as it is, but segments that could be misread are quoted.
 * `/srv/a b`, `systemctl`, `/srv/"a""b"`; a file that is called `*` is no unknown name: `/srv/"*"`.
 */
export function formatPath(path: string): string {
  return path
    .split('/')
    .map((segment, index) => (segment === '*' || segment.includes('"') || (index === 0 && /\s/.test(segment)) ? `"${segment.replaceAll('"', '""')}"` : segment))
    .join('/')
}
