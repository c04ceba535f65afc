import { documentLimits } from '../limits.js'
import { suggestFor } from './fields.js'
import type { DocumentContext } from './context.js'
import { describeIssues } from './issues.js'
import { documentJsonSchema } from './json-schema.js'
import { apiVersion, documentKindNames, documentKinds, isDocumentKind, type Document, type DocumentKinds } from './kinds.js'
import { readYaml, type YamlSource } from './yaml-source.js'

/** Something wrong in a file. Never holds a value that could be a secret beyond what the author wrote at that place. */
export interface DocumentError {
  /** The file, as it was given. */
  readonly path: string
  readonly line: number
  readonly column: number
  readonly message: string
  /** What was probably meant. */
  readonly suggestion?: string
}

export interface ParsedDocuments {
  readonly documents: readonly Document[]
  readonly errors: readonly DocumentError[]
}

/**
 * Reads the documents of one file. Never throws: everything wrong is an error with its place, and only documents
 * without one are returned.
 * @param path for messages only
 */
export function parseDocuments(text: string, path: string, context: DocumentContext): ParsedDocuments {
  const { sources, problems } = readYaml(text)
  const documents: Document[] = []
  const errors: DocumentError[] = problems.map((problem) => ({ path, ...problem }))
  const kinds = documentKinds(context)
  for (const source of sources) {
    const found = readSafely(source, path, kinds)
    if ('document' in found) {
      const { kind, name } = found.document
      if (documents.some((other) => other.kind === kind && other.name === name)) {
        errors.push({ path, ...source.position(['metadata', 'name'], 'value'), message: `the ${kind} "${name}" stands twice in this file` })
      } else documents.push(found.document)
    } else errors.push(...found.errors)
  }
  return { documents, errors: errors.sort((a, b) => a.line - b.line || a.column - b.column).slice(0, documentLimits.errors_per_file) }
}

/** `path:line:column: message (did you mean "x"?)`. */
export function formatDocumentError(error: DocumentError): string {
  return `${error.path}:${error.line}:${error.column}: ${error.message}${error.suggestion === undefined ? '' : ` (did you mean "${error.suggestion}"?)`}`
}

/** A check that fails in an unforeseen way refuses the document, it doesn't take the caller down. */
function readSafely(source: YamlSource, path: string, kinds: DocumentKinds): ReturnType<typeof readDocument> {
  try {
    return readDocument(source, path, kinds)
  } catch {
    return { errors: [{ path, line: source.line, column: 1, message: 'the document could not be checked' }] }
  }
}

function readDocument(source: YamlSource, path: string, kinds: DocumentKinds): { document: Document } | { errors: DocumentError[] } {
  const header = checkHeader(source)
  if ('message' in header) return { errors: [{ path, ...header }] }
  const result = kinds[header.kind].read(source.value, { text: source.text, path, line: source.line })
  if ('document' in result) return result
  const errors = describeIssues(result.issues, documentJsonSchema(header.kind)).map(
    ({ path: place, part, message, suggestion }): DocumentError => ({
      path,
      ...source.position(place, part),
      message: `${fieldName(place)}${message}`,
      ...(suggestion === undefined ? {} : { suggestion }),
    }),
  )
  return { errors }
}

type Header =
  | { readonly kind: (typeof documentKindNames)[number] }
  | { readonly message: string; readonly line: number; readonly column: number; readonly suggestion?: string }

/** Version and kind come first: without them nothing else of a document can be judged. */
function checkHeader({ value, position }: YamlSource): Header {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { message: 'a document must be a map with apiVersion, kind, metadata and spec', ...position([], 'value') }
  const version: unknown = Reflect.get(value, 'apiVersion')
  if (version !== apiVersion) {
    const message =
      version === undefined ? `the key "apiVersion" is missing: write ${apiVersion}` : `unknown apiVersion ${JSON.stringify(version)}`
    return { message, suggestion: apiVersion, ...position(['apiVersion'], 'value') }
  }
  const kind: unknown = Reflect.get(value, 'kind')
  if (isDocumentKind(kind)) return { kind }
  const suggestion = suggestFor(kind, documentKindNames)
  return {
    message: `${kind === undefined ? 'the key "kind" is missing' : `unknown kind ${JSON.stringify(kind)}`}; known: ${documentKindNames.join(', ')}`,
    ...(suggestion === undefined ? {} : { suggestion }),
    ...position(['kind'], 'value'),
  }
}

/** `spec.rules[0].on: ` */
function fieldName(path: readonly PropertyKey[]): string {
  const text = path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`)).join('')
  return text === '' ? '' : `${text}: `
}
