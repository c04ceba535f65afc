import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isScalar, parseAllDocuments, visit, type Document, type Scalar } from 'yaml'

/** A file of configuration documents, as `POST /v1/apply` takes it. */
export interface DocumentFile {
  readonly path: string
  readonly text: string
}

/** What differs between the committed examples and a stack on other ports. */
export interface DemoAddresses {
  readonly issuerUrl: string
  readonly peopleUrl: string
  readonly targetPort: number
  /** Undefined: there is no host, and its documents are left out. */
  readonly host: HostFacts | undefined
  readonly cluster: ClusterFacts
}

/** What the documents say of the demo's cluster. */
export interface ClusterFacts {
  readonly server: string
  readonly caPem: string
  readonly tokenFile: string
}

/** What the documents say of the demo's host. */
export interface HostFacts {
  readonly address: string
  readonly login: string
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string
  readonly caKeyFile: string
  readonly projectDirectory: string
}

const hostDocuments: readonly string[] = ['Target/web-01', 'Policy/shop-ci-on-web']
/** Where the project lies as the examples have it. */
const exampleProject = '/srv/shop'

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
    const kept = all.filter((document) => {
      const name = identity(document)
      if (addresses.host === undefined && hostDocuments.includes(name)) return false
      return !replaced.has(name) && !(policyFile !== undefined && document.get('kind') === 'Policy')
    })
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

interface Change {
  readonly node: Scalar
  readonly value: string | number
}

/** What must be changed in a document: where, and to what. */
function changes(document: Document, { issuerUrl, peopleUrl, targetPort, host, cluster }: DemoAddresses): Change[] {
  const at = (path: readonly (string | number)[], value: string | number): Change[] => {
    const node = document.getIn(path, true)
    return isScalar(node) ? [{ node, value }] : []
  }
  const name = identity(document)
  if (name === 'IdentityProvider/demo-ci') return at(['spec', 'issuer'], issuerUrl)
  if (name === 'IdentityProvider/demo-people') return at(['spec', 'issuer'], peopleUrl)
  if (name === 'Target/orders-db') return at(['spec', 'postgres', 'port'], targetPort)
  if (name === 'Target/demo-cluster') {
    return [
      ...at(['spec', 'kubernetes', 'server'], cluster.server),
      ...at(['spec', 'kubernetes', 'ca'], cluster.caPem),
      ...at(['spec', 'kubernetes', 'credential', 'token'], `file:${cluster.tokenFile}`),
    ]
  }
  if (host === undefined) return []
  if (name === 'Policy/shop-ci-on-web') return projectPaths(document, host.projectDirectory)
  if (name !== 'Target/web-01') return []
  return [
    ...at(['spec', 'ssh', 'address'], host.address),
    ...at(['spec', 'ssh', 'logins', 0], host.login),
    ...at(['spec', 'ssh', 'hostKeys', 0], host.hostKey),
    ...at(['spec', 'ssh', 'credential', 'certificate', 'caKey'], `file:${host.caKeyFile}`),
  ]
}

function projectPaths(document: Document, directory: string): Change[] {
  const found: Change[] = []
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && node.value.includes(exampleProject)) found.push({ node, value: node.value.replaceAll(exampleProject, directory) })
    },
  })
  return found
}

/** Puts the values into the text itself, so that the rest of it, comments and all, is applied as it stands in the file. */
function readdressText(text: string, documents: readonly Document[], addresses: DemoAddresses): string {
  const places = documents.flatMap((document) =>
    // JSON's quotes are good YAML; what had quotes keeps some.
    changes(document, addresses).flatMap(({ node: { range, type }, value }) =>
      range ? [{ start: range[0], end: range[1], value: type === 'PLAIN' ? String(value) : JSON.stringify(value) }] : [],
    ),
  )
  return places.sort((a, b) => b.start - a.start).reduce((result, { start, end, value }) => result.slice(0, start) + value + result.slice(end), text)
}

/** One document by itself, without its own `---`. */
function readdressed(document: Document, addresses: DemoAddresses): string {
  for (const { node, value } of changes(document, addresses)) node.value = value
  return String(document).replace(/^---\s*\n/, '')
}
