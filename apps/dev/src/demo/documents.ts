import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isScalar, parseAllDocuments, type Document } from 'yaml'

/** A file of configuration documents, as `POST /v1/apply` takes it. */
export interface DocumentFile {
  readonly path: string
  readonly text: string
}

/** What differs between the committed examples and a stack on other ports. */
export interface DemoAddresses {
  readonly issuerUrl: string
  readonly targetPort: number
}

/**
 * The demo's files with this stack's addresses. With `policyFile` the demo's policies are left out and that file's
 * documents come in; one that names a demo document takes its place.
 */
export function demoDocuments(directory: string, addresses: DemoAddresses, policyFile?: string): DocumentFile[] {
  const replacement = policyFile === undefined ? [] : parse(policyFile)
  const replaced = new Set(replacement.map(identity))
  const files: DocumentFile[] = []
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith('.yaml')) continue
    const path = join(directory, name)
    const all = parse(path)
    const kept = all.filter((document) => !replaced.has(identity(document)) && !(policyFile !== undefined && document.get('kind') === 'Policy'))
    if (kept.length === all.length) files.push({ path: name, text: readdressText(readFileSync(path, 'utf8'), all, addresses) })
    else if (kept.length > 0) files.push({ path: name, text: kept.map((document) => readdressed(document, addresses)).join('---\n') })
  }
  if (policyFile !== undefined) files.push({ path: basename(policyFile), text: readFileSync(policyFile, 'utf8') })
  return files
}

function parse(file: string): Document[] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8'))
  if (!Array.isArray(documents)) return []
  for (const document of documents) {
    const [error] = document.errors
    if (error !== undefined) throw new Error(`${file}: ${error.message}`)
  }
  return documents
}

function identity(document: Document): string {
  return `${String(document.get('kind'))}/${String(document.getIn(['metadata', 'name']))}`
}

/** What must be changed in a document: where, and to what. */
function changes(document: Document, { issuerUrl, targetPort }: DemoAddresses): { path: string[]; value: string | number }[] {
  switch (identity(document)) {
    case 'IdentityProvider/demo-ci':
      return [{ path: ['spec', 'issuer'], value: issuerUrl }]
    case 'Target/orders-db':
      return [{ path: ['spec', 'postgres', 'port'], value: targetPort }]
    default:
      return []
  }
}

/** Puts the values into the text itself, so that the rest of it, comments and all, is applied as it stands in the file. */
function readdressText(text: string, documents: readonly Document[], addresses: DemoAddresses): string {
  const places = documents.flatMap((document) =>
    changes(document, addresses).flatMap(({ path, value }) => {
      const node = document.getIn(path, true)
      return isScalar(node) && node.range ? [{ start: node.range[0], end: node.range[1], value: String(value) }] : []
    }),
  )
  return places.sort((a, b) => b.start - a.start).reduce((result, { start, end, value }) => result.slice(0, start) + value + result.slice(end), text)
}

/** One document by itself, without its own `---`. */
function readdressed(document: Document, addresses: DemoAddresses): string {
  for (const { path, value } of changes(document, addresses)) document.setIn(path, value)
  return String(document).replace(/^---\s*\n/, '')
}
