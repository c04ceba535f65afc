import { parseDocuments, type Document, type DocumentContext, type DocumentError, type ParsedDocuments } from '@sallyport/policy'
import type { ProtocolDescriptor } from '../descriptor.js'

export interface DocumentFile {
  /** Where the text comes from; for messages only. */
  readonly path: string
  readonly text: string
}

/** What names a document in a set. */
export const keyOf = (document: { readonly kind: string; readonly name: string }): string => `${document.kind}/${document.name}`

/** What documents are checked against: the protocols that this program has. */
export function documentContextOf(descriptors: readonly ProtocolDescriptor[]): DocumentContext {
  return {
    actionTrees: Object.fromEntries(descriptors.map((descriptor) => [descriptor.protocol, descriptor.actions])),
    parseTargetSpec(protocol, spec) {
      const descriptor = descriptors.find((candidate) => candidate.protocol === protocol)
      if (!descriptor) throw new Error(`unknown protocol "${protocol}"`)
      return descriptor.parseTargetSpec(spec)
    },
  }
}

/** Parses all files; a document that stands in two of them is an error. */
export function parseDocumentFiles(files: readonly DocumentFile[], context: DocumentContext): ParsedDocuments {
  const documents: Document[] = []
  const errors: DocumentError[] = []
  const places = new Map<string, Document>()
  for (const file of files) {
    const parsed = parseDocuments(file.text, file.path, context)
    errors.push(...parsed.errors)
    for (const document of parsed.documents) {
      const before = places.get(keyOf(document))
      if (before) {
        const message = `the ${document.kind} "${document.name}" stands in ${before.path}, line ${before.line}, too`
        errors.push({ path: document.path, line: document.line, column: 1, message })
        continue
      }
      places.set(keyOf(document), document)
      documents.push(document)
    }
  }
  return { documents, errors }
}
