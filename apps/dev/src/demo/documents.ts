import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseAllDocuments, type Document } from 'yaml'

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
    const kept = parse(join(directory, name)).filter(
      (document) => !replaced.has(identity(document)) && !(policyFile !== undefined && document.get('kind') === 'Policy'),
    )
    for (const document of kept) readdress(document, addresses)
    if (kept.length > 0) files.push({ path: name, text: kept.map(withoutMarker).join('---\n') })
  }
  if (policyFile !== undefined) files.push({ path: basename(policyFile), text: readFileSync(policyFile, 'utf8') })
  return files
}

/** Every document but a file's first begins with its own `---`. */
function withoutMarker(document: Document): string {
  return String(document).replace(/^---\s*\n/, '')
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

function readdress(document: Document, { issuerUrl, targetPort }: DemoAddresses): void {
  switch (identity(document)) {
    case 'IdentityProvider/demo-ci':
      document.setIn(['spec', 'issuer'], issuerUrl)
      break
    case 'Target/orders-db':
      document.setIn(['spec', 'postgres', 'port'], targetPort)
      break
    default:
  }
}
