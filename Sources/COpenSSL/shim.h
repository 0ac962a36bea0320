// OpenSSL for Swift: what the library offers only as macros, as functions.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline int groot_ssl_ctx_set_min_proto_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}

static inline void groot_ssl_ctx_set_mode(SSL_CTX *context, long mode) {
    SSL_CTX_set_mode(context, mode);
}

static inline void groot_ssl_set_mode(SSL *ssl, long mode) {
    SSL_set_mode(ssl, mode);
}

static inline void groot_ssl_clear_mode(SSL *ssl, long mode) {
    SSL_clear_mode(ssl, mode);
}

static inline void groot_ssl_ctx_no_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static inline int groot_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int groot_ssl_set_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline void groot_bio_set_retry_read(BIO *bio) {
    BIO_set_retry_read(bio);
}

static inline void groot_bio_clear_retry(BIO *bio) {
    BIO_clear_retry_flags(bio);
}

// No renegotiation, no tickets, no compression; the server chooses the suite.
static inline void groot_ssl_ctx_restrict(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static const unsigned long groot_name_format = XN_FLAG_RFC2253;

static inline int groot_err_reason(unsigned long code) {
    return ERR_GET_REASON(code);
}

// The subject alternative names of a certificate, or NULL; free with groot_names_free.
static inline GENERAL_NAMES *groot_names(const X509 *certificate) {
    return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

static inline void groot_names_free(GENERAL_NAMES *names) {
    GENERAL_NAMES_free(names);
}

static inline int groot_names_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}

// Bytes of the name at index when it is a URI, else -1. They live as long as the list.
static inline int groot_names_uri(const GENERAL_NAMES *names, int index, const unsigned char **bytes) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type != GEN_URI) return -1;
    *bytes = ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
    return ASN1_STRING_length(name->d.uniformResourceIdentifier);
}
