import { askAws, type AwsAccess } from '../aws.js'
import { KeyError, type KeyEncryptionKey } from './key-encryption-key.js'

const maxAnswerBytes = 64 * 1024

/**
 * A key of AWS KMS (API of 2014-11-01, `Encrypt` and `Decrypt`): data keys are wrapped there, and the key never leaves it.
 * The session is in the encryption context: bound to the wrapped key, and in CloudTrail beside every use of it.
 * @param keyId ARN, id or alias
 */
export function kmsKey(access: AwsAccess, keyId: string): KeyEncryptionKey {
  const call = async (operation: 'Encrypt' | 'Decrypt', body: object, name: string): Promise<Buffer> => {
    const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${operation}` }
    const answer = await askAws(access, { service: 'kms', method: 'POST', path: '/', headers, body: Buffer.from(JSON.stringify(body)), maxBytes: maxAnswerBytes }).catch((error: unknown) => {
      throw new KeyError('unavailable', 'KMS could not be reached', { cause: error })
    })
    const fields = fieldsOf(answer.body)
    if (answer.status !== 200) {
      const given = fields['__type']
      const type = (typeof given === 'string' ? given : '').replace(/^.*#/, '').replaceAll(/[^A-Za-z]/g, '')
      throw new KeyError(type === 'InvalidCiphertextException' ? 'refused' : 'unavailable', `KMS answered ${answer.status} ${type}`.trim())
    }
    const value = fields[name]
    return Buffer.from(typeof value === 'string' ? value : '', 'base64')
  }
  const EncryptionContext = (session: string): object => ({ 'sallyport:session': session })
  return {
    id: `kms:${keyId}`,
    async wrap(dataKey, session) {
      const wrapped = await call('Encrypt', { KeyId: keyId, Plaintext: Buffer.from(dataKey).toString('base64'), EncryptionContext: EncryptionContext(session) }, 'CiphertextBlob')
      if (wrapped.length === 0) throw new KeyError('unavailable', 'KMS did not answer with a wrapped key')
      return wrapped
    },
    async unwrap(wrapped, session) {
      const dataKey = await call('Decrypt', { KeyId: keyId, CiphertextBlob: Buffer.from(wrapped).toString('base64'), EncryptionContext: EncryptionContext(session) }, 'Plaintext')
      if (dataKey.length !== 32) throw new KeyError('unavailable', 'KMS did not answer with a key')
      return dataKey
    },
  }
}

function fieldsOf(body: Buffer): { readonly [name: string]: unknown } {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}
