import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document as YamlDocument,
  type Node,
  type ParsedNode,
} from 'yaml'
import { documentLimits } from '../limits.js'

/** A place in a file, both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface SourceProblem extends Position {
  readonly message: string
}

/** One YAML document as a plain value, with the place of everything in it. */
export interface YamlSource {
  readonly value: unknown
  readonly text: string
  readonly line: number
  /** Where the value at a path stands; where it is missing, its nearest ancestor. `key` asks for the key, not the value. */
  position(path: readonly PropertyKey[], part: 'key' | 'value'): Position
}

/**
 * Splits and composes YAML (1.2 only, core types only; the parser bounds its own nesting). Never throws. Refused, each with its place: aliases and anchors
 * (they expand exponentially), tags, duplicate keys, keys that aren't text, deep nesting, other YAML versions (in 1.1 the
 * key `on` would be a boolean). Duplicates are looked for here, because the parser's own search is quadratic: 60 000 keys
 * kept it busy for a minute.
 */
export function readYaml(text: string): { sources: YamlSource[]; problems: SourceProblem[] } {
  const problems: SourceProblem[] = []
  const sources: YamlSource[] = []
  if (text.length > documentLimits.file_characters) {
    return { sources, problems: [{ line: 1, column: 1, message: `the file is larger than ${documentLimits.file_characters} characters` }] }
  }
  const lines = new LineCounter()
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  let documents: readonly YamlDocument.Parsed<ParsedNode>[]
  try {
    documents = [
      ...parseAllDocuments(text, {
        lineCounter: lines,
        version: '1.2',
        schema: 'core',
        uniqueKeys: false,
        prettyErrors: false,
        keepSourceTokens: false,
      }),
    ]
  } catch {
    return { sources, problems: [{ line: 1, column: 1, message: 'the file is not YAML that can be read' }] }
  }
  if (documents.length > documentLimits.documents_per_file) {
    return { sources, problems: [{ line: 1, column: 1, message: `more than ${documentLimits.documents_per_file} documents in one file` }] }
  }
  for (const document of documents) {
    const found: SourceProblem[] = [...document.errors, ...document.warnings].map((problem) => ({
      message: yamlMessage(problem.code, problem.message),
      ...at(problem.pos[0]),
    }))
    if (document.directives.yaml.version !== '1.2')
      found.push({ message: 'only YAML 1.2 is read: take the %YAML directive out', ...at(document.range[0]) })
    const reader = new ValueReader((node, message) => found.push({ message, ...at(node.range?.[0] ?? document.range[0]) }))
    const value = found.length > 0 ? undefined : reader.read(document.contents)
    if (found.length > 0) problems.push(...found)
    else if (value !== null && value !== undefined) {
      const start = document.contents?.range?.[0] ?? document.range[0]
      sources.push({
        value,
        text: ownText(text, document),
        line: at(start).line,
        position: (path, part) => at(locate(document, path, part)),
      })
    }
  }
  return { sources, problems }
}

const yamlMessages: Readonly<Record<string, string>> = {
  TAG_RESOLVE_FAILED: 'tags (!x) are not accepted',
  TAB_AS_INDENT: 'tabs can’t indent YAML: use spaces',
  BAD_ALIAS: 'aliases (*x) are not accepted: write the value out',
}

function yamlMessage(code: string, message: string): string {
  return yamlMessages[code] ?? message.split('\n')[0] ?? 'is not YAML'
}

function ownText(text: string, document: YamlDocument.Parsed<ParsedNode>): string {
  const slice = text.slice(document.range[0], document.range[2])
  return slice.replace(/^---[ \t]*\r?\n/, '').trimEnd() + '\n'
}

/** Offset of a path's last step, or of the nearest ancestor that exists. */
function locate(document: YamlDocument.Parsed<ParsedNode>, path: readonly PropertyKey[], part: 'key' | 'value'): number {
  let node: Node | null = document.contents
  let offset = node?.range?.[0] ?? document.range[0]
  for (const [depth, step] of path.entries()) {
    if (isMap<Node, Node | null>(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
      if (!pair) return offset
      const keyOffset: number = pair.key.range?.[0] ?? offset
      node = pair.value
      const last = depth === path.length - 1
      offset = last && part === 'key' ? keyOffset : (node?.range?.[0] ?? keyOffset)
    } else if (isSeq<Node>(node) && typeof step === 'number') {
      const item: Node | undefined = node.items[step]
      if (!item) return offset
      node = item
      offset = item.range?.[0] ?? offset
    } else return offset
  }
  return offset
}

const coreTags = new Set(['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`))

class ValueReader {
  constructor(private readonly problem: (node: Node, message: string) => void) {}

  read(node: Node | null, depth = 0): unknown {
    if (node === null) return null
    if (depth > documentLimits.depth) {
      this.problem(node, `nested deeper than ${documentLimits.depth} levels`)
      return null
    }
    if (isAlias(node)) {
      this.problem(node, 'aliases (*x) are not accepted: write the value out')
      return null
    }
    if ('anchor' in node && node.anchor !== undefined) this.problem(node, 'anchors (&x) are not accepted: write the value out')
    if (node.tag !== undefined && !coreTags.has(node.tag)) this.problem(node, 'tags (!x) are not accepted')
    if (isMap<Node, Node | null>(node)) return this.#map(node.items, depth)
    if (isSeq<Node>(node)) return node.items.map((item) => this.read(item, depth + 1))
    if (isScalar(node)) return node.value
    return null
  }

  #map(items: readonly { key: Node; value: Node | null }[], depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {}
    for (const { key, value } of items) {
      if (!isScalar(key) || typeof key.value !== 'string' || key.value === '__proto__') {
        this.problem(key, 'keys must be text: put it in quotes')
        continue
      }
      if (key.anchor !== undefined) this.problem(key, 'anchors (&x) are not accepted: write the value out')
      if (Object.hasOwn(result, key.value)) this.problem(key, `the key "${key.value}" is given twice`)
      result[key.value] = this.read(value, depth + 1)
    }
    return result
  }
}
