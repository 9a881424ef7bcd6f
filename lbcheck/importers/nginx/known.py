"""Words of the documentation that are not read further: those that no claim depends on, and those that are refused."""

from __future__ import annotations

from dataclasses import dataclass

_READ = """
    http server location upstream listen server_name proxy_pass proxy_set_header proxy_connect_timeout
    proxy_read_timeout proxy_next_upstream proxy_next_upstream_tries proxy_next_upstream_timeout
    return rewrite set if break internal allow deny keepalive_timeout default_type server_tokens
    set_real_ip_from real_ip_header real_ip_recursive ssl_certificate ssl_certificate_key worker_processes
    least_conn ip_hash hash random
"""
READ = frozenset(_READ.split())
DATA = ("map", "geo", "split_clients")

_SELF = "about the process itself, its rights and its resources"
_LOGS = "logs are no claim"
_CONNECTIONS = "how connections are kept and reused is no claim"
_BUFFERS = "how bodies are buffered on the way is no claim"
_TLS = "how TLS is spoken is no claim"
_HEADERS = "no claim is about these headers of answers"
_FILES = "how files are served is no claim"
_LIMITS = "no claim is about sizes and speeds of requests that nginx refuses or slows down by itself"

_IGNORED_BY_REASON = {
    _SELF: """user pid daemon master_process worker_cpu_affinity worker_priority worker_rlimit_core
        worker_rlimit_nofile worker_shutdown_timeout working_directory lock_file env load_module pcre_jit ssl_engine
        thread_pool timer_resolution debug_points worker_connections
        variables_hash_bucket_size variables_hash_max_size map_hash_bucket_size map_hash_max_size
        server_names_hash_bucket_size server_names_hash_max_size types_hash_bucket_size types_hash_max_size
        proxy_headers_hash_bucket_size proxy_headers_hash_max_size connection_pool_size request_pool_size
        proxy_temp_path client_body_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path""",
    _LOGS: """access_log error_log log_format log_not_found log_subrequest open_log_file_cache rewrite_log
        uninitialized_variable_warn debug_connection""",
    _CONNECTIONS: """keepalive_requests keepalive_time keepalive_disable keepalive_min_timeout tcp_nodelay tcp_nopush
        lingering_close lingering_time lingering_timeout reset_timedout_connection send_lowat
        proxy_socket_keepalive proxy_bind proxy_http_version chunked_transfer_encoding http2_idle_timeout
        http2_recv_timeout""",
    _BUFFERS: """proxy_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_max_temp_file_size
        proxy_temp_file_write_size proxy_request_buffering client_body_buffer_size client_header_buffer_size
        large_client_header_buffers client_body_in_file_only client_body_in_single_buffer output_buffers
        postpone_output subrequest_output_buffer_size preread_buffer_size http2_chunk_size http2_body_preread_size
        http2_recv_buffer_size proxy_limit_rate""",
    _TLS: """ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout
        ssl_session_tickets ssl_session_ticket_key ssl_dhparam ssl_ecdh_curve ssl_stapling ssl_stapling_verify
        ssl_stapling_file ssl_stapling_responder ssl_trusted_certificate ssl_buffer_size ssl_conf_command
        ssl_early_data ssl_password_file ssl_ocsp_cache proxy_ssl_protocols proxy_ssl_ciphers
        proxy_ssl_session_reuse proxy_ssl_server_name proxy_ssl_name proxy_ssl_trusted_certificate
        proxy_ssl_verify_depth proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_crl
        proxy_ssl_conf_command proxy_ssl_password_file http2_max_concurrent_streams http2_max_field_size
        http2_max_header_size http2_max_requests""",
    _HEADERS: """add_header add_trailer expires etag proxy_hide_header proxy_pass_header proxy_cookie_domain
        proxy_cookie_path proxy_cookie_flags charset charset_types override_charset source_charset""",
    "where files are served is told of the location": "root alias index",
    _FILES: """sendfile sendfile_max_chunk aio aio_write directio directio_alignment open_file_cache
        open_file_cache_errors open_file_cache_min_uses open_file_cache_valid read_ahead disable_symlinks
        autoindex_exact_size autoindex_format autoindex_localtime if_modified_since max_ranges gzip_static gunzip""",
    _LIMITS: """client_max_body_size limit_rate limit_rate_after limit_req_zone limit_conn_zone limit_req_status
        limit_conn_status limit_req_log_level limit_conn_log_level limit_req_dry_run limit_conn_dry_run""",
    "no claim is about how long a request or an answer may take to pass": """client_body_timeout
        client_header_timeout send_timeout proxy_send_timeout""",
    "names are answered by the lab": "resolver resolver_timeout",
    "it says how `gzip on` acts, which is told where it stands": """gzip_types gzip_min_length gzip_comp_level gzip_vary
        gzip_proxied gzip_buffers gzip_disable gzip_http_version""",
    "a cache is told where it is used": """proxy_cache_path proxy_cache_key proxy_cache_valid proxy_cache_use_stale
        proxy_cache_lock proxy_cache_lock_timeout proxy_cache_lock_age proxy_cache_bypass proxy_no_cache
        proxy_cache_methods proxy_cache_min_uses proxy_cache_revalidate proxy_cache_background_update
        proxy_cache_convert_head proxy_cache_max_range_offset proxy_ignore_headers""",
    "a Location of a backend's is no claim": "proxy_redirect",
    "it refuses requests that are no HTTP": "ignore_invalid_headers server_name_in_redirect",
    "an error's body is no claim": "msie_padding msie_refresh",
}
IGNORED = {word: why for why, words in _IGNORED_BY_REASON.items() for word in words.split()}

_OFF = """
    gzip brotli proxy_cache proxy_store proxy_intercept_errors recursive_error_pages auth_basic auth_request ssl
    autoindex ssl_verify_client ssl_ocsp ssl_reject_handshake underscores_in_headers proxy_ignore_client_abort
    proxy_ssl_verify proxy_force_ranges ssi http2_push http2_push_preload
"""
OFF = frozenset(_OFF.split())
_ON = "absolute_redirect port_in_redirect merge_slashes proxy_pass_request_body proxy_pass_request_headers"
ON = frozenset(_ON.split())
_SLOWED = "requests beyond a rate are refused or wait"
REFUSED = {
    "absolute_redirect": "redirects are relative",
    "port_in_redirect": "redirects lose the port",
    "merge_slashes": "slashes in a row are kept apart when a location is looked for",
    "gzip": "answers are compressed",
    "brotli": "answers are compressed",
    "proxy_cache": "answers come from a cache",
    "proxy_store": "answers are kept as files",
    "proxy_intercept_errors": "backends' errors are replaced",
    "error_page": "its own errors become other pages",
    "recursive_error_pages": "its own errors become other pages",
    "auth_basic": "clients have to show a password",
    "auth_basic_user_file": "clients have to show a password",
    "auth_request": "another server is asked about each request",
    "auth_request_set": "another server is asked about each request",
    "auth_jwt": "NGINX Plus only",
    "satisfy": "addresses and passwords are asked together",
    "limit_req": _SLOWED,
    "limit_conn": "connections beyond a number are refused",
    "limit_except": "some methods are refused",
    "try_files": "what is a file is served from it",
    "autoindex": "folders are shown",
    "random_index": "files are served",
    "mirror": "requests are sent twice",
    "mirror_request_body": "requests are sent twice",
    "sub_filter": "answers' bodies are changed",
    "sub_filter_once": "answers' bodies are changed",
    "sub_filter_types": "answers' bodies are changed",
    "addition_types": "answers' bodies are changed",
    "add_after_body": "answers' bodies are changed",
    "add_before_body": "answers' bodies are changed",
    "ssi": "answers' bodies are changed",
    "image_filter": "answers' bodies are changed",
    "proxy_method": "requests' method is changed",
    "proxy_set_body": "requests' body is changed",
    "proxy_pass_request_body": "requests are passed on without their body",
    "proxy_pass_request_headers": "requests are passed on without their headers",
    "proxy_ignore_client_abort": "requests go on when their clients have gone",
    "proxy_ssl_verify": "backends have to show a certificate",
    "proxy_force_ranges": "ranges are served in any case",
    "underscores_in_headers": "headers with underscores in their names are passed on",
    "ssl": "TLS without a word in `listen`",
    "ssl_verify_client": "clients have to show certificates",
    "ssl_client_certificate": "clients' certificates are looked at",
    "ssl_verify_depth": "clients' certificates are looked at",
    "ssl_crl": "clients' certificates are looked at",
    "ssl_ocsp": "clients' certificates are looked at",
    "ssl_reject_handshake": "handshakes for other names are refused",
    "fastcgi_pass": "servers speak FastCGI",
    "uwsgi_pass": "servers speak uwsgi",
    "scgi_pass": "servers speak SCGI",
    "memcached_pass": "answers come from memcached",
    "grpc_pass": "servers speak gRPC",
    "stub_status": "a page of statistics is served here",
    "http2_push": "answers are pushed",
    "http2_push_preload": "answers are pushed",
    "secure_link": "links are checked",
    "secure_link_md5": "links are checked",
    "secure_link_secret": "links are checked",
    "valid_referers": "referrers are looked at",
    "dav_methods": "files are written",
    "max_errors": "NGINX Plus only",
    "health_check": "NGINX Plus only",
    "match": "NGINX Plus only",
    "status_zone": "NGINX Plus only",
    "api": "NGINX Plus only",
    "perl": "a script may do anything",
    "perl_set": "a script may do anything",
    "js_import": "a script may do anything",
    "js_set": "a script may do anything",
    "js_content": "a script may do anything",
    "userid": "a cookie is set",
}
SPEAKING_OTHERWISE = ("fastcgi_", "uwsgi_", "scgi_", "grpc_", "memcached_")


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is ruled on as a whole; where it is ignored, only `words` may stand in it."""

    reason: str
    refused: bool = False
    words: tuple[str, ...] = ()


_EVENTS = """
    worker_connections multi_accept use accept_mutex accept_mutex_delay worker_aio_requests debug_connection
"""
BLOCKS = {
    "events": Block(_SELF, words=tuple(_EVENTS.split())),
    "types": Block("media types of files are no claim"),
    "stream": Block("it is no HTTP: what passes TCP and UDP on is not read", refused=True),
    "mail": Block("mail servers are none of lbcheck's", refused=True),
    "limit_except": Block("some methods are refused", refused=True),
    "match": Block("NGINX Plus only", refused=True),
}
