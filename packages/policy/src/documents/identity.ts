import { z } from 'zod'
import { documentLimits } from '../limits.js'
import { durationField, exactlyOne, isLoopback, nameField, oneOrMany, refuse, textField, urlField, wordField } from './fields.js'

/** Signature algorithms of tokens. Asymmetric ones only: with an HMAC the verifier's key could forge tokens. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const

/** Where a secret is; the control plane's own settings say which references a document may name at all. */
const secretReference = z
  .string()
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/s, 'must be a reference (env:NAME or file:/path): a secret never stands in a document')
  .meta({ title: 'reference' })

const signIn = z.strictObject({
  clientId: textField.meta({ description: 'Client id of Sallyport at the provider.' }),
  clientSecret: secretReference.optional().meta({ description: 'Its secret. Without one, Sallyport is a public client (PKCE alone).' }),
  displayName: textField.max(60).optional().meta({ description: 'What the button on the sign-in page says. Default: the document’s name.' }),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'must be a scope'))
    .prefault(['openid', 'profile', 'email', 'offline_access'])
    .meta({ description: 'Scopes that are asked for. `offline_access` gives a refresh token, by which a person who is gone at the provider is noticed.' }),
  nameClaim: textField
    .prefault('email')
    .meta({ description: 'Claim that names a person who has no User document. `email` counts only with `email_verified`.' }),
  trustEmail: z
    .boolean()
    .prefault(false)
    .meta({ description: 'A verified e-mail address of this provider makes somebody the User with that address. Only where nobody can choose their own.' }),
})

export const identityProviderSpec = z
  .strictObject({
    issuer: urlField.meta({ description: 'The `iss` of its tokens, compared character by character.' }),
    audience: oneOrMany(textField, 'audience').meta({
      description: 'Accepted `aud` values; a token must carry at least one of them.',
      title: 'text or list',
    }),
    jwksUri: urlField
      .optional()
      .meta({ description: 'Where its keys are. Default: discovered from `issuer`/.well-known/openid-configuration.' }),
    algorithms: z.array(wordField(algorithms)).min(1).prefault(['RS256', 'ES256']).meta({ description: 'Accepted signature algorithms.' }),
    maxTokenAge: durationField(1, documentLimits.token_age_max_seconds)
      .prefault('1h')
      .meta({ description: 'Tokens issued longer ago are refused, whatever their own expiry.' }),
    clockSkew: durationField(0, documentLimits.clock_skew_max_seconds)
      .prefault('60s')
      .meta({ description: 'Tolerated difference of clocks, at most 5m.' }),
    accessTokens: z
      .boolean()
      .prefault(false)
      .meta({ description: 'Accept access tokens (RFC 9068, `typ: at+jwt`), as clients with credentials of their own get them. The audience must be Sallyport’s alone.' }),
    signIn: signIn.optional().meta({ description: 'People sign in here with OpenID Connect. Without it, the provider is for workloads.' }),
    insecureHttp: z.boolean().prefault(false).meta({ description: 'Allow plain http, on loopback only. For a development issuer.' }),
  })
  .superRefine((spec, context) => {
    for (const key of ['issuer', 'jwksUri'] as const) {
      const address = spec[key]
      if (!address?.startsWith('http:')) continue
      if (!spec.insecureHttp)
        refuse(context, 'must be https (a development issuer on loopback may set insecureHttp: true)', { path: [key] })
      else if (!isLoopback(address)) refuse(context, 'plain http is accepted on loopback only', { path: [key] })
    }
  })
  .transform(({ maxTokenAge, clockSkew, audience, jwksUri, signIn: people, ...rest }) => ({
    ...rest,
    ...(people === undefined ? {} : { signIn: people }),
    audiences: audience,
    ...(jwksUri === undefined ? {} : { jwksUri }),
    maxTokenAgeSeconds: maxTokenAge,
    clockSkewSeconds: clockSkew,
  }))

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'must be text, a number or true/false' })

const claimRule = z
  .strictObject({
    claim: textField.meta({ description: 'Claim name; dots reach into nested claims.' }),
    equals: scalar.optional().meta({ description: 'The exact value.', title: 'text, number or boolean' }),
    in: z.array(scalar).min(1).optional().meta({ description: 'One of these values.', title: 'list' }),
    glob: textField.optional().meta({ description: '`*` stands for anything but `/`, `**` for anything.' }),
  })
  .superRefine((rule, context) => exactlyOne(rule, ['equals', 'in', 'glob'], context, 'a claim rule'))
  .transform(({ claim, equals, in: values, glob }): ClaimRule =>
    glob !== undefined ? { claim, glob } : { claim, values: (values ?? (equals === undefined ? [] : [equals])).map(String) },
  )

/** One condition on a token's claims. Numbers and booleans are compared as text. */
export type ClaimRule = { readonly claim: string; readonly values: readonly string[] } | { readonly claim: string; readonly glob: string }

export const workloadSpec = z
  .strictObject({
    provider: nameField.meta({ description: 'Name of the IdentityProvider whose tokens it presents.' }),
    match: z
      .array(claimRule)
      .min(1, 'needs at least one claim rule: without one, every token of the provider would match')
      .meta({ description: 'Conditions on the claims; all must hold. Prefer immutable ids such as `repository_id`.' }),
    groups: z.array(nameField).prefault([]).meta({ description: 'Groups it belongs to.' }),
    showClaims: z.array(textField).prefault([]).meta({ description: 'Further claims kept in events and shown to reviewers.' }),
    actorClaim: textField
      .prefault('actor')
      .meta({ description: 'Claim that names the person behind a run, who may not approve what it asks.' }),
  })
  .readonly()

export const roles = ['admin', 'auditor', 'reviewer', 'operator', 'policy_author', 'member'] as const

export const userSpec = z
  .strictObject({
    displayName: textField.optional().meta({ description: 'Name shown to people.' }),
    email: z
      .email('must be an e-mail address')
      .optional()
      .meta({ description: 'E-mail address; also an alias that self-approval is checked against.', title: 'e-mail' }),
    roles: z.array(wordField(roles)).prefault(['member']).meta({ description: 'What the user may do in the control plane.' }),
    groups: z
      .array(nameField)
      .prefault([])
      .meta({ description: 'Groups the user belongs to, besides those that list the user as a member.' }),
    aliases: z
      .record(z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, 'must be a lower-case service name such as github'), textField)
      .prefault({})
      .meta({
        description: 'Names elsewhere (`github`, `gitlab` …): the same person behind a CI run can’t approve it.',
        title: 'map of service → name',
      }),
    signIn: z
      .array(z.strictObject({ provider: nameField.meta({ description: 'IdentityProvider.' }), subject: textField.meta({ description: 'The `sub` of the person there.' }) }))
      .prefault([])
      .meta({ description: 'Who the user is at identity providers.' }),
    disabled: z.boolean().prefault(false).meta({ description: 'Refuses every sign-in and credential of the user.' }),
  })
  .transform(({ displayName, email, ...rest }) => ({
    ...rest,
    ...(displayName === undefined ? {} : { displayName }),
    ...(email === undefined ? {} : { email }),
  }))

export const groupMappingSpec = z.strictObject({
  provider: nameField.meta({ description: 'IdentityProvider whose people it is about.' }),
  match: z
    .array(claimRule)
    .min(1, 'needs at least one claim rule: without one, everybody at the provider would match')
    .meta({ description: 'Conditions on the claims of a person; all must hold. A claim that is a list matches with any of its entries.' }),
  groups: z.array(nameField).prefault([]).meta({ description: 'Groups that these people are in.' }),
  roles: z.array(wordField(roles)).prefault([]).meta({ description: 'Roles that they have.' }),
})

export const groupSpec = z
  .strictObject({
    description: textField.optional().meta({ description: 'What the group is for.' }),
    members: z
      .array(nameField)
      .prefault([])
      .meta({ description: 'User names. Membership is the union of this list and the users’ own `groups`.' }),
  })
  .transform(({ description, members }) => ({ members, ...(description === undefined ? {} : { description }) }))
