import { documentContextOf, parseDocumentFiles, runPolicyTests, type DocumentFile, type PolicyTestResult } from '@sallyport/kit'
import { checkReferences, formatDocumentError } from '@sallyport/policy'
import { descriptors } from './protocols.js'

export interface CheckReport {
  readonly ok: boolean
  readonly documents: number
  /** `path:line:column: message`. */
  readonly errors: readonly string[]
  readonly tests: readonly PolicyTestResult[]
}

/**
 * What an apply would check, without a control plane: strict reading, references, tests. A policy on its own is checked
 * too: an identity or target that these files don't define is then taken to be one that the policy is about.
 */
export async function checkDocuments(files: readonly DocumentFile[]): Promise<CheckReport> {
  await Promise.all(descriptors.map((descriptor) => descriptor.load()))
  const { documents, errors: problems } = parseDocumentFiles(files, documentContextOf(descriptors))
  // Policies alone can't be asked where the rest is; with the rest there, it must be complete.
  const complete = documents.some((document) => document.kind !== 'Policy')
  const errors = (problems.length === 0 && complete ? checkReferences(documents) : problems).map(formatDocumentError)
  const tests = errors.length > 0 ? [] : runPolicyTests({ documents, descriptors, assumeMissing: true })
  return { ok: errors.length === 0 && tests.every((test) => test.ok), documents: documents.length, errors, tests }
}
