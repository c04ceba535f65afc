import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocumentFiles, runPolicyTests } from '@sallyport/kit'
import { beforeAll, describe, expect, it } from 'vitest'
import { protocols } from '../protocols.js'
import { checkSet, documentContext, warnings } from './document-set.js'

const demo = join(import.meta.dirname, '../../../../examples/demo')

describe('the demo documents', () => {
  beforeAll(async () => {
    for (const descriptor of protocols) await descriptor.load()
  })

  it('parse, refer to each other, warn of nothing, and pass their tests', () => {
    const files = readdirSync(demo).filter((name) => name.endsWith('.yaml')).map((name) => ({ path: name, text: readFileSync(join(demo, name), 'utf8') }))
    const { documents, errors } = parseDocumentFiles(files, documentContext)
    expect(errors).toEqual([])
    expect(checkSet([], documents)).toEqual([])
    expect(warnings(documents)).toEqual([])
    const tests = runPolicyTests({ documents, descriptors: protocols, assumeMissing: false })
    expect(tests.length).toBeGreaterThan(0)
    expect(tests.filter((test) => !test.ok)).toEqual([])
  })
})
