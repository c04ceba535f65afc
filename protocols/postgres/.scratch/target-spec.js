import { z } from 'zod';
const reference = z
    .string()
    .regex(/^(env|file|exec):.+$/s, 'must be a reference (env:NAME, file:/path or exec:/path): a credential never stands in a document');
/** A PostgreSQL target: the protocol's own part of a Target document. */
export const postgresTargetSchema = z.strictObject({
    /** Host name, address, or the directory of a Unix socket. */
    host: z.string().min(1),
    port: z.number().int().min(1).max(65535).default(5432),
    database: z.string().min(1),
    /** The database role that the agent logs in as. */
    user: z.string().min(1),
    /** Where the agent finds its password; absent for trust and peer. */
    password: reference.optional(),
    /** Methods that the agent may answer. A weaker one must be named, so that a hostile server can't ask for it. */
    auth: z.array(z.enum(['scram-sha-256', 'md5', 'password', 'trust'])).default(['scram-sha-256', 'trust']),
    tls: z
        .strictObject({
        mode: z.enum(['disable', 'require', 'verify-full']).default('disable'),
        /** PEM text or a reference. */
        ca: z.string().optional(),
        serverName: z.string().optional(),
    })
        .default({ mode: 'disable' }),
});
//# sourceMappingURL=target-spec.js.map