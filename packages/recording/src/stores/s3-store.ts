import { createHash } from 'node:crypto'
import { askAws, type AwsAccess } from '../aws.js'
import type { Answer } from '../http.js'
import { maxPlainBytes } from '../part.js'
import { pathOf, StoreError, type PartStore } from './part-store.js'

/** Parts as objects of an S3-compatible store. The bucket may have object lock: no object is ever written with other content. */
export function s3Store(access: AwsAccess, bucket: string, prefix: string): PartStore {
  const path = (name: Parameters<PartStore['get']>[0]): string => `/${bucket}/${prefix}${pathOf(name)}`
  return {
    id: 's3',
    async put(name, bytes) {
      // Buckets with object lock ask for a checksum.
      const checksum = createHash('sha256').update(bytes).digest('base64')
      const headers = { 'content-type': 'application/octet-stream', 'x-amz-checksum-sha256': checksum }
      const answer = await reached(() => askAws(access, { service: 's3', method: 'PUT', path: path(name), headers, body: bytes, maxBytes: 64 * 1024 }))
      if (answer.status !== 200) throw new StoreError(`the store answered ${answer.status}`)
    },
    async get(name) {
      const answer = await reached(() => askAws(access, { service: 's3', method: 'GET', path: path(name), maxBytes: maxPlainBytes }))
      if (answer.status === 200) return answer.body
      if (answer.status === 404) return undefined
      throw new StoreError(`the store answered ${answer.status}`)
    },
    async delete(name) {
      const answer = await reached(() => askAws(access, { service: 's3', method: 'DELETE', path: path(name), maxBytes: 64 * 1024 }))
      if (answer.status !== 204 && answer.status !== 200 && answer.status !== 404) throw new StoreError(`the store answered ${answer.status}`)
    },
  }
}

async function reached(asked: () => Promise<Answer>): Promise<Answer> {
  try {
    return await asked()
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw new StoreError('the store could not be reached', { cause: error })
  }
}
