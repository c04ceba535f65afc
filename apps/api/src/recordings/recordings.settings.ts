import type { AwsAccess } from '@sallyport/recording'
import { z } from 'zod'
import { ConfigError, readConfig, type Environment } from '../config/environment.js'

/** Credentials and keys are sent there. Plain HTTP is for this host alone. */
const address = z.url({ protocol: /^https?$/, error: 'must be an https address' }).refine((text) => {
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
}, 'must be an https address')

const schema = z.object({
  SALLYPORT_RECORDINGS_STORE: z.enum(['postgres', 'file', 's3'], { error: 'must be postgres, file or s3' }).default('postgres'),
  SALLYPORT_RECORDINGS_DIRECTORY: z.string().optional(),
  SALLYPORT_RECORDINGS_S3_BUCKET: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket').optional(),
  SALLYPORT_RECORDINGS_S3_PREFIX: z.string().regex(/^(?:(?!\.)[\w.=-]+\/)*$/, 'must end with / and hold letters, digits and ._=-').default(''),
  SALLYPORT_RECORDINGS_S3_ENDPOINT: address.optional(),
  SALLYPORT_RECORDINGS_KEYS: z.string().optional(),
  SALLYPORT_VAULT_ADDRESS: address.optional(),
  SALLYPORT_VAULT_TOKEN_FILE: z.string().optional(),
  SALLYPORT_VAULT_NAMESPACE: z.string().optional(),
  SALLYPORT_KMS_ENDPOINT: address.optional(),
  SALLYPORT_AWS_REGION: z.string().regex(/^[a-z0-9-]{1,40}$/, 'must be the name of a region').optional(),
  SALLYPORT_AWS_ACCESS_KEY_ID: z.string().optional(),
  SALLYPORT_AWS_SECRET_ACCESS_KEY: z.string().optional(),
  SALLYPORT_AWS_SESSION_TOKEN: z.string().optional(),
})
export type RecordingsSettings = z.infer<typeof schema>

/** @throws {ConfigError} */
export const readSettings = (environment: Environment): RecordingsSettings => readConfig(schema, environment)

/** @throws {ConfigError} */
export function awsAccess(settings: RecordingsSettings, endpoint: string | undefined, service: 's3' | 'kms'): AwsAccess {
  const { SALLYPORT_AWS_REGION: region, SALLYPORT_AWS_ACCESS_KEY_ID: id, SALLYPORT_AWS_SECRET_ACCESS_KEY: secret, SALLYPORT_AWS_SESSION_TOKEN: session } = settings
  if (region === undefined) throw new ConfigError('SALLYPORT_AWS_REGION: is not set')
  if (id === undefined) throw new ConfigError('SALLYPORT_AWS_ACCESS_KEY_ID: is not set')
  if (secret === undefined) throw new ConfigError('SALLYPORT_AWS_SECRET_ACCESS_KEY: is not set')
  return { endpoint: endpoint ?? `https://${service}.${region}.amazonaws.com`, region, accessKeyId: id, secretAccessKey: secret, ...(session === undefined ? {} : { sessionToken: session }) }
}
