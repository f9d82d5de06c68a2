/** Where records land whose type no table and no upsert takes. */
export const EVENTS_TABLE = "millrace_events";
