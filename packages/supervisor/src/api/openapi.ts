import * as z from "zod";
import { API_ROUTES, type ApiRoute } from "./api-routes.ts";
import { errorSchema } from "./api-schemas.ts";

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: "The request is malformed.",
  401: "No token, or one that is not known.",
  403: "The token may not do this, or the request comes from another site or a refused address.",
  404: "There is no such process, instance or operation.",
  409: "Not in this state.",
  413: "The body is too large.",
  422: "Outside minScale, maxScale or maxInstances.",
  503: "Not ready; the body says what is waited for.",
  429: "Too many requests; see Retry-After.",
};

/** The OpenAPI 3.1 document of the management API, made from the routes and schemas it runs on. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of API_ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: describeRoute(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Millrace supervisor",
      version: "1",
      license: { name: "MIT", identifier: "MIT" },
    },
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: { Error: schemaOf(errorSchema) },
    },
  };
}

function describeRoute(route: ApiRoute): object {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
  const parameters = [
    ...names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...Object.entries(route.query ?? {}).map(([name, description]) => ({
      name,
      in: "query",
      required: false,
      description,
      schema: { type: "string" },
    })),
  ];
  const errors = route.errors
    .toSorted((left, right) => left - right)
    .map((status) => [
      String(status),
      {
        description: DESCRIPTIONS[status] ?? "Error.",
        content: json({ $ref: "#/components/schemas/Error" }),
      },
    ]);
  return {
    summary: route.summary,
    operationId: `${route.method}${route.path.replaceAll(/[^a-zA-Z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    security: route.scope === undefined ? [] : [{ bearer: [] }],
    parameters,
    ...(route.request === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(route.request)) } }),
    responses: {
      [String(route.status)]: { description: route.summary, content: contentOf(route) },
      ...Object.fromEntries(errors),
    },
  };
}

function contentOf({ answer }: ApiRoute): object {
  if (typeof answer === "string") return { [answer]: { schema: { type: "string" } } };
  return json(schemaOf(answer));
}

function json(schema: object): object {
  return { "application/json": { schema } };
}

function schemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
}
