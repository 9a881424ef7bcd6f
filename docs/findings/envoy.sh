# Sourced by the reproductions beside it: Envoy in front of ports, and what scene.sh has.
source "$(dirname "${BASH_SOURCE[0]}")/scene.sh"
api=type.googleapis.com/envoy.extensions.filters
http_filters="{name: router, typed_config: {'@type': $api.http.router.v3.Router}}"
routes="{match: {prefix: /}, route: {cluster: web}}"

serve() { # FRONT BACK...: with $routes, $http_filters, $cluster (fields of the cluster) and $more (a field)
    local front=$1 endpoints=""
    shift
    for port in "$@"; do
        endpoints+="{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: $port}}}}, "
    done
    cat >"$folder/envoy-$front.yaml" <<CONFIG
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: $front}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": $api.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          ${more:-}
          http_filters: [$http_filters]
          route_config: {virtual_hosts: [{name: web, domains: ["*"], routes: [$routes]}]}
  clusters:
  - name: web
    ${cluster:-connect_timeout: 1s}
    load_assignment: {cluster_name: web, endpoints: [{lb_endpoints: [${endpoints%, }]}]}
CONFIG
    start "${ENVOY:-envoy}" -c "$folder/envoy-$front.yaml" --concurrency 1 --disable-hot-restart -l error
}
