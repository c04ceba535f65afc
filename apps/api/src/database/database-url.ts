/** The connection string that every part of this process uses. */
export const DATABASE_URL = Symbol('DATABASE_URL')
