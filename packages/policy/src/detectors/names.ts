/** Every built-in detector, and the groups `secrets` and `pii` that stand for all of their kind. */
export const detectorNames = [
  'secrets',
  'pii',
  'credit_card',
  'email',
  'ssn',
  'iban',
  'phone',
  'jwt',
  'private_key',
  'password',
  'password_hash',
  'aws_access_key',
  'aws_secret',
  'gcp_key',
  'azure_key',
  'github_token',
  'gitlab_token',
  'slack_token',
  'stripe_key',
  'npm_token',
  'model_api_key',
  'vendor_token',
] as const

export type DetectorOrGroup = (typeof detectorNames)[number]
export type DetectorName = Exclude<DetectorOrGroup, 'secrets' | 'pii'>
