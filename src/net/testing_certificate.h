// For tests: a self-signed certificate for localhost and 127.0.0.1, made anew in a temporary folder
// that goes with the object.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace tidewire::net {

class TestingCertificate {
 public:
  TestingCertificate() {
    std::string folder = (std::filesystem::temp_directory_path() / "tidewire-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());

    FILE* file = std::fopen(certificate_file().c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(key_file().c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen(encrypted_key_file().c_str(), "w");
    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), nullptr, 0, nullptr, const_cast<char*>("secret"));
    std::fclose(file);
    EVP_PKEY* other = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    file = std::fopen(other_type_key_file().c_str(), "w");
    PEM_write_PrivateKey(file, other, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    EVP_PKEY_free(other);
    std::ofstream(nonsense_file()) << "this is no PEM\n";
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~TestingCertificate() { std::filesystem::remove_all(folder_); }
  TestingCertificate(const TestingCertificate&) = delete;
  TestingCertificate& operator=(const TestingCertificate&) = delete;

  std::string certificate_file() const { return folder_ + "/certificate.pem"; }
  std::string key_file() const { return folder_ + "/key.pem"; }
  std::string encrypted_key_file() const { return folder_ + "/encrypted.pem"; }
  // A key that has nothing to do with the certificate, not even its type.
  std::string other_type_key_file() const { return folder_ + "/other_type.pem"; }
  std::string nonsense_file() const { return folder_ + "/nonsense.pem"; }
  std::string missing_file() const { return folder_ + "/missing.pem"; }

 private:
  std::string folder_;
};

}  // namespace tidewire::net
